// Runs one program and measures it: LAUNCH RESULT SECONDS THP PROGRAM [ARG...]
//
// The program runs with this environment; THP is `system`, or `never` for no
// transparent huge pages. When it has run for SECONDS it is killed, with its
// process group. RESULT then holds one line: wall, user and system time in
// microseconds, peak resident KiB, exit code (128 + signal where killed).
//
// Linux counts the peak of the *forking* process against its child, up to the
// exec. So this is a program of its own, static and tiny: started from the
// runner itself, a small program would seem as large as the runner.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void overtime(int sig)
{
    (void)sig;
    kill(-child, SIGKILL);
}

// When the runner stops or dies, all that the program started ends with it; by
// SIGTERM, so that a server can end with its own exit code.
static void end_all(int sig)
{
    (void)sig;
    kill(-child, SIGTERM);
}

static long long micros(struct timeval t)
{
    return (long long)t.tv_sec * 1000000 + t.tv_usec;
}

int main(int argc, char **argv)
{
    struct timespec begin, end;
    struct rusage used;
    int status;
    if (argc < 5) {
        fprintf(stderr, "usage: launch RESULT SECONDS system|never PROGRAM [ARG...]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (strcmp(argv[3], "never") == 0)
            prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        execv(argv[4], argv + 4);
        fprintf(stderr, "%s: %s\n", argv[4], strerror(errno));
        _exit(127);
    }
    setpgid(child, child);
    signal(SIGALRM, overtime);
    signal(SIGTERM, end_all);
    signal(SIGINT, end_all);
    signal(SIGHUP, end_all);
    alarm((unsigned)atoi(argv[2]));
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            return 2;
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE *result = fopen(argv[1], "w");
    if (result == NULL)
        return 2;
    fprintf(result, "%lld %lld %lld %ld %d\n",
            (long long)(end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000,
            micros(used.ru_utime), micros(used.ru_stime), used.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(result) == 0 ? 0 : 2;
}
