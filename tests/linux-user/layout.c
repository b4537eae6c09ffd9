/*
 * The rows of layout.h as a table in a section of its own.  Compiled, never run: for the guest with
 * -DGUEST_HEADERS, and for the host.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>

#ifdef GUEST_HEADERS
#define GUEST(expression, ours) { #expression, (unsigned long long)(expression) },
#else
#include "linux-user/riscv/riscv-abi.h"
#include "linux-user/structs.h"
#define GUEST(expression, ours) { #expression, (unsigned long long)(ours) },
#endif
#define SAME(expression) { #expression, (unsigned long long)(expression) },

const struct {
    char name[88];
    unsigned long long value;
} layout_table[] __attribute__((section("layout"), used)) = {
#include "layout.h"
};
