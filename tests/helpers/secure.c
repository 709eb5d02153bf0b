// Run as a setuid program: MEMMAN_CONF asks for a pool of 1 MiB, and must not
// be heard. Says "ok", or ends with 77 where this process is not secure.
#include "check.h"

#include <sys/auxv.h>

int main(void) {
    if (getauxval(AT_SECURE) == 0)
        skip("setuid has no effect on this file system");
    void *p = malloc(16 * MIB);
    CHECK(p != NULL, "the environment of a setuid program was heard");
    free(p);
    CHECK(write(1, "ok\n", 3) == 3);
    return 0;
}
