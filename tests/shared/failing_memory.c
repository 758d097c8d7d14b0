/* Loaded before everything else, this fails one allocation of the compiled module: the n-th that it
   asks for, itself or through libstdc++, from arm(n) on. Allocations of Python and NumPy are left
   alone; where others use libstdc++ too, as jaxlib does, watch(0) fails only what the module asks
   for itself: with malloc and the like, or with operator new. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_memalign(size_t, size_t);

struct range {
    uintptr_t first, stop;
};
static struct range watched[16];
static int ranges, direct; /* direct: what the module asks libstdc++ for fails here, not there */
static long left, failed;  /* left: how many more until one fails, 0 for none */
static __thread int next;  /* the next allocation of this thread fails, whoever asks */

static int add(struct dl_phdr_info* info, size_t size, void* library) {
    (void)size;
    if (!strstr(info->dlpi_name, "unsample/_native") &&
        !(library && strstr(info->dlpi_name, library)))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && ranges < 16; ++i) {
        const ElfW(Phdr)* part = info->dlpi_phdr + i;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
        const uintptr_t first = info->dlpi_addr + part->p_vaddr;
        watched[ranges++] = (struct range){first, first + part->p_memsz};
    }
    return 0;
}

int watch(int library) {
    ranges = 0, direct = !library;
    dl_iterate_phdr(add, library ? "libstdc++" : NULL);
    return ranges;
}

void arm(long n) {
    __atomic_store_n(&failed, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
}

long fired(void) { return __atomic_load_n(&failed, __ATOMIC_SEQ_CST); }

static int fails(const void* caller) {
    if (next) {
        next = 0;
        return 1;
    }
    if (__atomic_load_n(&left, __ATOMIC_RELAXED) <= 0) return 0;
    int ours = 0;
    for (int i = 0; i < ranges; ++i)
        ours |= (uintptr_t)caller >= watched[i].first && (uintptr_t)caller < watched[i].stop;
    if (!ours || __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) != 0) return 0;
    __atomic_store_n(&failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

/* operator new: the true one throws, where malloc gives it nothing. */
void* _Znwm(size_t size) {
    static void* (*true_one)(size_t);
    if (!true_one) true_one = (void* (*)(size_t))dlsym(RTLD_NEXT, "_Znwm");
    next = direct && fails(__builtin_return_address(0));
    return true_one(size);
}

void* malloc(size_t size) {
    if (!fails(__builtin_return_address(0))) return __libc_malloc(size);
    errno = ENOMEM;
    return NULL;
}

int posix_memalign(void** memory, size_t alignment, size_t size) {
    *memory = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

void* mmap(void* address, size_t length, int protection, int flags, int file, off_t offset) {
    if (!fails(__builtin_return_address(0)))
        return (void*)syscall(SYS_mmap, address, length, protection, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}
