// Conformance 5: the library keeps no file open, and a program that closes
// every descriptor goes on.
#include "check.h"

static void *work(void *unused) {
    for (size_t n = 1; n < 20 * MIB; n *= 2)
        free(launder(calloc(1, n)));
    return unused;
}

int main(int count, char **arguments) {
    if (count == 1) { // once more, with nothing inherited but 0, 1 and 2
        for (int fd = 3; fd < 4096; fd++)
            close(fd);
        execl("/proc/self/exe", arguments[0], "again", (char *)NULL);
        CHECK(!"exec");
    }
    free(malloc(100));
    int next = open("/dev/null", O_RDONLY);
    CHECK(next == 3, "descriptor %d is taken", next - 1);
    work(NULL);
    join(start(work, NULL));
    for (int fd = 0; fd < 64; fd++)
        close(fd);
    work(NULL);
    join(start(work, NULL));
    pid_t child = fork();
    if (child == 0) {
        work(NULL);
        _exit(open("/dev/null", O_RDONLY) == 0 ? 0 : 1);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        return 3;
    return open("/dev/null", O_RDONLY) == 0 ? 0 : 4;
}
