/*
 * ns16550a, from National Semiconductor's PC16550D data sheet: byte registers, receive FIFO of 16
 * bytes; sending takes no time, because the chardev's ring is the transmit FIFO.  Modem
 * lines: somebody is always there (DCD, DSR, CTS).
 *
 * One lock, rank DEVICE.  The chardev is called under it (chardev_write() does not wait).  Only when
 * the host has not taken 64 KiB of output does THRE fall; `writable` raises it again.
 */
#include "board/dev/uart.h"

#include <string.h>

#include "util/error.h"
#include "util/lock.h"

enum { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };
enum { IER_RDI = 1, IER_THRI = 2, IER_RLSI = 4, IER_MSI = 8 };
enum { IIR_NONE = 1, IIR_MSI = 0, IIR_THRI = 2, IIR_RDI = 4, IIR_RLSI = 6, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 16, LSR_THRE = 32, LSR_TEMT = 64 };
enum { MSR_CTS = 16, MSR_DSR = 32, MSR_RI = 64, MSR_DCD = 128 };

#define FIFO_SIZE 16u

struct UART {
    IRQLine irq;                /* constant */
    Chardev *chardev;
    Mutex lock;                 /* rank DEVICE */
    /* guarded by lock */
    uint8_t dll, dlm, ier, lcr, mcr, scr, fcr;
    uint8_t overrun;            /* LSR_OE or 0 */
    bool thr_interrupt;         /* the transmitter is empty, and nobody has noticed yet */
    bool full;                  /* the chardev has no room: `held` waits */
    uint8_t held;
    uint8_t fifo[FIFO_SIZE];
    unsigned head, count;
};

static unsigned fifo_size_locked(const UART *u)
{
    return u->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static unsigned trigger_locked(const UART *u)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };
    return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

/*
 * The most urgent cause.  Characters below the trigger level are signalled by the time-out at
 * once: no next character is on its way that would be worth waiting for.
 */
static uint8_t cause_locked(const UART *u)
{
    if ((u->ier & IER_RLSI) && u->overrun) {
        return IIR_RLSI;
    }
    if ((u->ier & IER_RDI) && u->count) {
        return u->count >= trigger_locked(u) ? IIR_RDI : IIR_TIMEOUT;
    }
    if ((u->ier & IER_THRI) && u->thr_interrupt) {
        return IIR_THRI;
    }
    return IIR_NONE;
}

static void update_irq_locked(UART *u)
{
    irq_set(&u->irq, cause_locked(u) != IIR_NONE);
}

static void push_locked(UART *u, uint8_t byte)
{
    if (u->count >= fifo_size_locked(u)) {
        u->overrun = LSR_OE;
        return;
    }
    u->fifo[(u->head + u->count++) % FIFO_SIZE] = byte;
}

static void send_locked(UART *u, uint8_t byte)
{
    if (u->mcr & MCR_LOOP) {
        push_locked(u, byte);
    } else if (u->full) {
        return;                         /* sent although THRE is low: lost, as on the wire */
    } else if (chardev_write(u->chardev, &byte, 1) == 0) {
        u->full = true;
        u->held = byte;
        u->thr_interrupt = false;
        return;
    }
    u->thr_interrupt = true;
}

static uint8_t read_data_locked(UART *u)
{
    if (!u->count) {
        return 0;
    }
    uint8_t byte = u->fifo[u->head];
    u->head = (u->head + 1) % FIFO_SIZE;
    u->count--;
    return byte;
}

static uint8_t read_iir_locked(UART *u)
{
    uint8_t cause = cause_locked(u);
    if (cause == IIR_THRI) {
        u->thr_interrupt = false;
    }
    return cause | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr_locked(UART *u)
{
    uint8_t value = (u->count ? LSR_DR : 0) | u->overrun | (u->full ? 0 : LSR_THRE | LSR_TEMT);
    u->overrun = 0;
    return value;
}

static uint8_t read_msr_locked(const UART *u)
{
    if (!(u->mcr & MCR_LOOP)) {
        return MSR_DCD | MSR_DSR | MSR_CTS;
    }
    return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
           (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint8_t read_locked(UART *u, hwaddr offset)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case RBR_THR_DLL:
        return dlab ? u->dll : read_data_locked(u);
    case IER_DLM:
        return dlab ? u->dlm : u->ier;
    case IIR_FCR:
        return read_iir_locked(u);
    case LCR:
        return u->lcr;
    case MCR:
        return u->mcr;
    case LSR:
        return read_lsr_locked(u);
    case MSR:
        return read_msr_locked(u);
    case SCR:
        return u->scr;
    }
    return 0;
}

static void write_fcr_locked(UART *u, uint8_t value)
{
    if ((value ^ u->fcr) & FCR_ENABLE || value & FCR_CLEAR_RX) {
        u->head = u->count = 0;
    }
    u->fcr = value & ~(FCR_CLEAR_RX | FCR_CLEAR_TX);
}

static void write_ier_locked(UART *u, uint8_t value)
{
    if (!(u->ier & IER_THRI) && (value & IER_THRI) && !u->full) {
        u->thr_interrupt = true;        /* enabling it while the transmitter is empty interrupts */
    }
    u->ier = value & 15;
}

static void write_locked(UART *u, hwaddr offset, uint8_t value)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case RBR_THR_DLL:
        if (dlab) {
            u->dll = value;
        } else {
            send_locked(u, value);
        }
        break;
    case IER_DLM:
        if (dlab) {
            u->dlm = value;
        } else {
            write_ier_locked(u, value);
        }
        break;
    case IIR_FCR:
        write_fcr_locked(u, value);
        break;
    case LCR:
        u->lcr = value;
        break;
    case MCR:
        u->mcr = value & 31;
        break;
    case SCR:
        u->scr = value;
        break;
    }
}

static uint64_t uart_read(void *opaque, hwaddr offset, unsigned size)
{
    UART *u = opaque;
    mutex_lock(&u->lock);
    unsigned before = u->count;
    uint64_t value = read_locked(u, offset);
    bool room = u->count < before;
    update_irq_locked(u);
    mutex_unlock(&u->lock);
    if (room) {
        chardev_accept_input(u->chardev);
    }
    return value;
}

static void uart_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    UART *u = opaque;
    mutex_lock(&u->lock);
    write_locked(u, offset, (uint8_t)value);
    update_irq_locked(u);
    mutex_unlock(&u->lock);
}

const MMIOOps uart_ops = { uart_read, uart_write, 1, 1 };

static size_t uart_receive(void *opaque, const uint8_t *bytes, size_t n)
{
    UART *u = opaque;
    mutex_lock(&u->lock);
    size_t k = 0;
    for (; k < n && u->count < fifo_size_locked(u) && !(u->mcr & MCR_LOOP); k++) {
        push_locked(u, bytes[k]);
    }
    update_irq_locked(u);
    mutex_unlock(&u->lock);
    return k;
}

static void uart_writable(void *opaque)
{
    UART *u = opaque;
    mutex_lock(&u->lock);
    if (u->full && chardev_write(u->chardev, &u->held, 1)) {
        u->full = false;
        u->thr_interrupt = true;
        update_irq_locked(u);
    }
    mutex_unlock(&u->lock);
}

int uart_take_byte(UART *u)
{
    mutex_lock(&u->lock);
    int byte = u->count ? read_data_locked(u) : -1;
    update_irq_locked(u);
    mutex_unlock(&u->lock);
    if (byte >= 0) {
        chardev_accept_input(u->chardev);
    }
    return byte;
}

void uart_reset(UART *u)
{
    mutex_lock(&u->lock);
    u->ier = u->lcr = u->mcr = u->fcr = u->overrun = 0;
    u->dll = 12;
    u->dlm = 0;
    u->thr_interrupt = u->full = false;
    u->head = u->count = 0;
    update_irq_locked(u);
    mutex_unlock(&u->lock);
}

static const StateField uart_fields[] = {
    STATE(UART, dll), STATE(UART, dlm), STATE(UART, ier), STATE(UART, lcr), STATE(UART, mcr), STATE(UART, scr),
    STATE(UART, fcr), STATE(UART, overrun), STATE(UART, thr_interrupt), STATE(UART, full), STATE(UART, held),
    STATE(UART, fifo), STATE_BELOW(UART, head, FIFO_SIZE), STATE_BELOW(UART, count, FIFO_SIZE + 1), STATE_END
};

/* The byte that found no room finds some here, or is told when there is. */
static bool loaded_locked(void *opaque)
{
    UART *u = opaque;
    if (u->full && chardev_write(u->chardev, &u->held, 1)) {
        u->full = false;
        u->thr_interrupt = true;
    }
    update_irq_locked(u);
    chardev_accept_input(u->chardev);
    return true;
}

static void reset(void *opaque) { uart_reset(opaque); }
static Mutex *lock(void *opaque) { return &((UART *)opaque)->lock; }

const DeviceClass uart_class = {
    .name = "ns16550a", .reset = reset, .lock = lock,
    .state = &(const StateTable){ uart_fields, loaded_locked },
};

UART *uart_create(IRQLine irq, Chardev *chardev)
{
    static const CharFrontend frontend = { uart_receive, uart_writable, NULL };
    UART *u = xcalloc(1, sizeof(*u));
    u->irq = irq;
    u->chardev = chardev;
    u->dll = 12;
    mutex_init(&u->lock, LOCK_RANK_DEVICE);
    chardev_attach(chardev, &frontend, u);
    return u;
}
