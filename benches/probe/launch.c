// Runs one program and measures it: LAUNCH RESULT SECONDS THP WARM PROGRAM [ARG...]
//
// The program runs with this environment; THP is `system`, or `never` for no
// transparent huge pages. Before it starts, WARM KiB of memory are written to and
// given back: a virtual machine's host may have taken free pages away, and the
// first to use them again waits ten times as long as the next. When it has run for SECONDS it is killed, with its
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
#include <sys/mman.h>
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

// In a process of its own, whose pages are free again when it has ended.
static void warm(size_t bytes)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            _exit(1);
        madvise(memory, bytes, MADV_HUGEPAGE);
        for (size_t i = 0; i < bytes; i += 4096)
            ((volatile char *)memory)[i] = 1;
        _exit(0);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    struct timespec begin, end;
    struct rusage used;
    int status;
    if (argc < 6) {
        fprintf(stderr, "usage: launch RESULT SECONDS system|never WARM PROGRAM [ARG...]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    warm(strtoul(argv[4], NULL, 10) * 1024);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (strcmp(argv[3], "never") == 0)
            prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        execv(argv[5], argv + 5);
        fprintf(stderr, "%s: %s\n", argv[5], strerror(errno));
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
