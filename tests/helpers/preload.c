// preload LIBRARY PROGRAM [ARGUMENT...]: runs the program with LD_PRELOAD set
// to the library. For a chroot that holds no shell and no env.
#include "check.h"

int main(int count, char **arguments) {
    CHECK(count >= 3);
    CHECK(setenv("LD_PRELOAD", arguments[1], 1) == 0);
    execv(arguments[2], arguments + 2);
    CHECK(!"exec");
}
