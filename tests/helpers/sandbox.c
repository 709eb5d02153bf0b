// sandbox PROGRAM [ARGUMENT...]: runs it under a seccomp filter that answers
// ENOSYS to calls which old kernels, emulators and sandboxes lack, as if
// they did not exist. LD_PRELOAD is taken from SANDBOX_PRELOAD, so that it
// is the program that is preloaded and not this one.
#include "check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(int count, char **arguments) {
    static const long refused[] = {
        SYS_membarrier, SYS_rseq,    SYS_sched_getaffinity, SYS_getcpu, SYS_madvise,
        SYS_mremap,     SYS_sysinfo, SYS_getrandom,         SYS_prctl,
    };
    enum { MANY = LENGTH(refused) };
    struct sock_filter program[MANY + 3];
    CHECK(count >= 2);
    program[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < MANY; i++) // to the last instruction where it is this one
        program[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[i],
                                                      (uint8_t)(MANY - i), 0);
    program[MANY + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[MANY + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    struct sock_fprog filter = {MANY + 3, program};
    const char *preload = getenv("SANDBOX_PRELOAD");
    if (preload != NULL && *preload != 0)
        CHECK(setenv("LD_PRELOAD", preload, 1) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0)
        skip("no seccomp filters here");
    execv(arguments[1], arguments + 1);
    CHECK(!"exec");
}
