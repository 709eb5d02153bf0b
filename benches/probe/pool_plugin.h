// What a manager of a fixed pool shows to the program `pool`: a shared library
// with these four functions, loaded by its path. One pool at a time, one thread.
#ifndef POOL_PLUGIN_H
#define POOL_PLUGIN_H

#include <stddef.h>

// The name to print; static.
const char *pool_name(void);
// Makes a fresh pool of all `size` bytes at `area` (64-byte aligned), its
// bookkeeping included, and forgets the one before. 0, or -1 where it cannot.
int pool_init(void *area, size_t size);
// A block of at least `size` bytes, or NULL.
void *pool_get(size_t size);
// Frees a block that pool_get gave.
void pool_free(void *block);

#endif
