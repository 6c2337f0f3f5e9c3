#include "kernels.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A handler of signals may not wait for a lock: it sees a row's range once `start` is set, which comes last.
static struct {
  _Atomic(uintptr_t) start;
  _Atomic(uintptr_t) end;
  _Atomic(char *) sentence;
} rows[1024];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static int is_installed = 0;

static void handle(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  uintptr_t address = (uintptr_t)info->si_addr;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uintptr_t start = atomic_load(&rows[i].start);
    if (start == 0 || address < start || address >= atomic_load(&rows[i].end)) continue;
    const char *sentence = atomic_load(&rows[i].sentence);
    if (write(STDERR_FILENO, sentence, strlen(sentence)) < 0) _exit(2);
    _exit(1);
  }
  // Nothing of ours: the read is tried again under whatever stood before.
  sigaction(SIGBUS, &before, NULL);
}

void lethe_watch_mapping(const void *start, size_t size, const char *sentence) {
  char *copy = strdup(sentence);
  if (!copy) return;
  pthread_mutex_lock(&lock);
  if (!is_installed) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    is_installed = sigaction(SIGBUS, &action, &before) == 0;
  }
  for (size_t i = 0; i < sizeof rows / sizeof *rows && copy; i++) {
    if (atomic_load(&rows[i].start) != 0) continue;
    atomic_store(&rows[i].end, (uintptr_t)start + size);
    atomic_store(&rows[i].sentence, copy);
    atomic_store(&rows[i].start, (uintptr_t)start);
    copy = NULL;
  }
  pthread_mutex_unlock(&lock);
  free(copy);
}

void lethe_forget_mapping(const void *start) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (atomic_load(&rows[i].start) != (uintptr_t)start) continue;
    atomic_store(&rows[i].start, 0);
    free(atomic_exchange(&rows[i].sentence, NULL));
    break;
  }
  pthread_mutex_unlock(&lock);
}
