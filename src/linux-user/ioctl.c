/*
 * ioctl.  Requests and structures are the same on all asm-generic 64-bit machines and on the host.
 * What is left is to know which arguments are addresses, when guest_base is not 0.
 */
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "linux-user/process.h"
#include "linux-user/seccomp-notify.h"
#include "linux-user/syscall.h"
#include "util/log.h"

/* Requests of the times before _IOR and _IOW that take a number, or nothing. */
static bool takes_number(unsigned request)
{
    switch (request) {
    case TCSBRK: case TCXONC: case TCFLSH: case TCSBRKP:
    case TIOCEXCL: case TIOCNXCL: case TIOCSCTTY: case TIOCNOTTY: case TIOCCONS:
    case TIOCSBRK: case TIOCCBRK: case TIOCVHANGUP: case TIOCMIWAIT:
    case FIOCLEX: case FIONCLEX:
        return true;
    default:
        return false;
    }
}

int64_t sys_ioctl(GuestThread *t, const uint64_t a[6])
{
    unsigned request = (unsigned)a[1];
    uint64_t arg = a[2];
    int64_t ret;
    if (unlikely(_IOC_TYPE(request) == SECCOMP_IOC_MAGIC) &&
        seccomp_notify_ioctl(t, (int)a[0], request, arg, &ret)) {
        return ret;
    }
    if (user_mem.guest_base) {
        unsigned type = _IOC_TYPE(request);
        bool old = type == 'T' || type == 0x89;     /* terminals, sockets */
        bool pointer = old ? !takes_number(request) : _IOC_DIR(request) != _IOC_NONE;
        if (request == SIOCGIFCONF) {
            log_item(LOG_UNIMP, "SIOCGIFCONF with a guest base\n");
            return -EINVAL;
        }
        if (pointer && !host_pointer(&arg)) {
            return -EFAULT;
        }
    }
    return safe_syscall6(t, SYS_ioctl, (uint64_t)(int)a[0], request, arg, 0, 0, 0);
}
