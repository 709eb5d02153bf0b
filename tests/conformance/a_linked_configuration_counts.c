// The program may carry its configuration: const char *memman_conf. The
// environment is stronger.
// run: confs=default ldflags=-rdynamic
#include "check.h"

const char *memman_conf = "pool:8M";

int main(int count, char **arguments) {
    if (getenv("MEMMAN") == NULL)
        skip("memman_conf is memman's");
    if (count == 1) {
        CHECK(malloc(32 * MIB) == NULL && errno == ENOMEM, "the pool of 8 MiB is not in force");
        CHECK(setenv("MEMMAN_CONF", "pool:128M", 1) == 0);
        execl("/proc/self/exe", arguments[0], "again", (char *)NULL);
        CHECK(!"exec");
    }
    void *p = malloc(32 * MIB);
    CHECK(p != NULL, "MEMMAN_CONF is not stronger than the linked configuration");
    free(p);
    return 0;
}
