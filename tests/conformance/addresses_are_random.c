// Conformance 5: no fixed addresses: in new processes small and large blocks
// lie elsewhere.
// run: confs=default
#include "check.h"

#include <sys/personality.h>

struct places { void *small, *large; };

int main(int count, char **arguments) {
    if (count == 2) {
        struct places own = {malloc(100), malloc(10 * MIB)};
        ssize_t n = write(1, &own, sizeof own);
        return n != sizeof own;
    }
    char setting = '0';
    int fd = open("/proc/sys/kernel/randomize_va_space", O_RDONLY);
    if (fd < 0 || read(fd, &setting, 1) != 1 || setting == '0' ||
        (personality(0xffffffff) & ADDR_NO_RANDOMIZE))
        skip("this system does not randomise addresses");
    close(fd);
    enum { RUNS = 6 };
    struct places seen[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
            dup2(ends[1], 1);
            execl("/proc/self/exe", arguments[0], "child", (char *)NULL);
            _exit(2);
        }
        close(ends[1]);
        CHECK(read(ends[0], &seen[i], sizeof seen[i]) == sizeof seen[i]);
        close(ends[0]);
        expect_success(child);
        CHECK(seen[i].small != NULL && seen[i].large != NULL);
        for (int j = 0; j < i; j++)
            CHECK(seen[j].small != seen[i].small && seen[j].large != seen[i].large);
    }
    return 0;
}
