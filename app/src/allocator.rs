//! The program's memory: an allocator made for many threads, because a server that answers
//! thousands of requests a second allocates a million times a second.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
