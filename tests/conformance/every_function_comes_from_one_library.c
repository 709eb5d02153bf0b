// Conformance 1: whoever brings malloc brings every function that makes, takes
// or measures its blocks; a libc's pvalloc beside another's free crashes.
// run: static=no confs=default
#include "check.h"

#include <link.h>
#include <sys/stat.h>

int main(void) {
    const char *library = getenv("MALLOC_LIB");
    if (library == NULL || *library == 0)
        skip("no library is preloaded");
    struct stat expected, found;
    CHECK(stat(library, &expected) == 0, "%s", library);
    static const char *const names[] = {
        "malloc", "free", "calloc", "realloc", "aligned_alloc", "memalign", "posix_memalign",
        "valloc", "pvalloc", "malloc_usable_size", "reallocarray", "cfree", "free_sized",
        "free_aligned_sized", "malloc_trim", "mallopt", "mallinfo", "mallinfo2", "malloc_stats",
        "malloc_info",
    };
    for (size_t i = 0; i < LENGTH(names); i++) {
        void *address = dlsym(RTLD_DEFAULT, names[i]);
        Dl_info info;
        CHECK(address != NULL, "%s is missing", names[i]);
        CHECK(dladdr(address, &info) != 0 && stat(info.dli_fname, &found) == 0, "%s", names[i]);
        CHECK(found.st_dev == expected.st_dev && found.st_ino == expected.st_ino,
              "%s comes from %s", names[i], info.dli_fname);
    }
    return 0;
}
