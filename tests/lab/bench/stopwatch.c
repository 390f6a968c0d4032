// Does by hand, in the lab's Linux host, what a handoff takes, and says when each thing was done. One command a line on standard input,
// its parts between tabs; one answer a line: "ok" or "failed", when it began and ended (CLOCK_MONOTONIC, microseconds), and what there is
// to tell. Meanwhile it listens, with one clock, to QEMU (qmp), to what the guest's watcher writes (guest) and to the kernel's own device
// events (kernel).
//
//   connect SOURCE PATH        a Unix socket; of a QMP session the greeting is answered
//   mark                       what was heard before doesn't count any more
//   send JSON                  a command to QEMU, and its answer
//   lend PATH rw|ro JSON       the same, with a descriptor of PATH, which we then close
//   await SOURCE TEXT...       the first line since the mark that has all of the texts; it ends when that was heard
//   write PATH [TEXT]          as echo does
//   own PATH USER GROUP        chown, by numbers
//   memlock PID                lets a process lock all the memory that it likes
//   signal PID NUMBER
//   free PATH                  waits until nobody has claimed a block device
//   run PROGRAM [ARGUMENT]...  to its end, with what it printed
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { QMP, GUEST, KERNEL, SOURCES };
enum { LINES = 2048, LENGTH = 1 << 16, PARTS = 32 };

static const char *const names[SOURCES] = {"qmp", "guest", "kernel"};
static const long long patience = 240 * 1000000LL;

static struct source { int fd; int used; char text[LENGTH]; } sources[SOURCES] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
static struct heard { int source; long long at; char *text; } heard[LINES];
static int count;
static char said[LENGTH * 2];

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static int tell(const char *text) { snprintf(said, sizeof said, "%s", text); return -1; }
static int fail(const char *what) { snprintf(said, sizeof said, "%s: %s", what, strerror(errno)); return -1; }

// Keeps a line. When there are too many, the first half is forgotten.
static void keep(int source, long long at, const char *text) {
  if (count == LINES) {
    for (int i = 0; i < LINES / 2; i++) free(heard[i].text);
    memmove(heard, heard + LINES / 2, sizeof *heard * (LINES / 2));
    count = LINES / 2;
  }
  heard[count++] = (struct heard){source, at, strdup(text)};
}

static void split(int which, long long at) {
  struct source *s = &sources[which];
  char *start = s->text, *end;
  while ((end = memchr(start, '\n', s->used - (start - s->text)))) {
    *end = 0;
    if (end > start && end[-1] == '\r') end[-1] = 0;
    keep(which, at, start);
    start = end + 1;
  }
  s->used -= start - s->text;
  memmove(s->text, start, s->used);
  if (s->used == LENGTH) s->used = 0;
}

static void hear(int which) {
  struct source *s = &sources[which];
  ssize_t got = read(s->fd, s->text + s->used, LENGTH - s->used - 1);
  long long at = now();
  if (got <= 0) {
    // Events of the kernel that got lost are no end.
    if (which == KERNEL || (got < 0 && errno == EINTR)) return;
    close(s->fd);
    s->fd = -1;
    return;
  }
  if (which != KERNEL) { s->used += got; split(which, at); return; }
  for (int i = 0; i < got; i++) if (!s->text[i]) s->text[i] = ' ';
  s->text[got] = 0;
  keep(KERNEL, at, s->text);
}

// Listens for at most so many microseconds; more is a descriptor to wait for as well, or -1. Returns whether that can be read.
static int listen_for(long long most, int more) {
  struct pollfd fds[SOURCES + 1];
  for (int i = 0; i < SOURCES; i++) fds[i] = (struct pollfd){sources[i].fd, POLLIN, 0};
  fds[SOURCES] = (struct pollfd){more, POLLIN, 0};
  int wait = most < 0 ? 0 : most > 1000000 ? 1000 : (int)((most + 999) / 1000);
  if (poll(fds, SOURCES + 1, wait) <= 0) return 0;
  for (int i = 0; i < SOURCES; i++) if (fds[i].revents) hear(i);
  return fds[SOURCES].revents != 0;
}

static int fits(const char *line, char **texts) {
  for (; *texts; texts++) if (!strstr(line, *texts)) return 0;
  return 1;
}

// The first line of a source, from the index on, that has all the texts; null when none comes in time.
static struct heard *wait_for(int source, int from, char **texts) {
  long long until = now() + patience;
  for (int i = from;; i++) {
    while (i >= count) {
      if (now() > until || (sources[source].fd < 0)) return NULL;
      int before = count;
      listen_for(until - now(), -1);
      if (count < before) i = count;
    }
    if (heard[i].source == source && fits(heard[i].text, texts)) return &heard[i];
  }
}

static int source_named(const char *name) {
  for (int i = 0; i < SOURCES; i++) if (!strcmp(names[i], name)) return i;
  return -1;
}

static int send_json(const char *json, int descriptor) {
  char line[LENGTH];
  int length = snprintf(line, sizeof line, "%s\n", json), from = count;
  union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
  struct iovec part = {line, length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  if (sendmsg(sources[QMP].fd, &message, 0) != length) return fail("QEMU takes no command");
  for (;;) {
    struct heard *answer = wait_for(QMP, from, (char *[]){NULL});
    if (!answer) return tell("QEMU doesn't answer");
    if (!strncmp(answer->text, "{\"timestamp\"", 12)) { from = answer - heard + 1; continue; }
    tell(answer->text);
    return strncmp(answer->text, "{\"return\"", 9) ? -1 : 0;
  }
}

static int connect_to(char **part) {
  int which = part[0] && part[1] ? source_named(part[0]) : -1, from = count;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (which < 0) return tell("connect needs a source and a path");
  if (sources[which].fd >= 0) close(sources[which].fd);
  sources[which].used = 0;
  strncpy(address.sun_path, part[1], sizeof address.sun_path - 1);
  sources[which].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(sources[which].fd, (struct sockaddr *)&address, sizeof address)) return fail(part[1]);
  if (which != QMP) return 0;
  if (!wait_for(QMP, from, (char *[]){"\"QMP\"", NULL})) return tell("QEMU greets nobody");
  return send_json("{\"execute\": \"qmp_capabilities\"}", -1);
}

static int write_to(char **part) {
  char text[256];
  int file = open(part[0], O_WRONLY | O_CLOEXEC), length = snprintf(text, sizeof text, "%s\n", part[1] ? part[1] : "");
  if (file < 0) return fail(part[0]);
  int result = write(file, text, length) == length ? 0 : fail(part[0]);
  close(file);
  return result;
}

static int lend(char **part) {
  int exclusive = strncmp(part[0], "/dev/sr", 7) ? 0 : O_EXCL;
  int file = open(part[0], (strcmp(part[1], "rw") ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC | exclusive);
  if (file < 0) return fail(part[0]);
  int result = send_json(part[2], file);
  close(file);
  return result;
}

static int until_free(const char *path) {
  for (long long until = now() + patience; now() < until; listen_for(1000, -1)) {
    int file = open(path, O_RDONLY | O_NONBLOCK | O_EXCL | O_CLOEXEC);
    if (file >= 0) { close(file); return 0; }
    if (errno != EBUSY) return fail(path);
  }
  return tell("somebody keeps it claimed");
}

static int run(char **part) {
  int output[2], status, used = 0;
  if (pipe2(output, O_CLOEXEC)) return fail("pipe");
  pid_t child = fork();
  if (child == 0) {
    dup2(output[1], 1);
    dup2(output[1], 2);
    execvp(part[0], part);
    _exit(127);
  }
  close(output[1]);
  for (;;) {
    if (!listen_for(patience, output[0])) continue;
    ssize_t got = read(output[0], said + used, sizeof said - used - 1);
    if (got <= 0) break;
    used += got;
  }
  close(output[0]);
  waitpid(child, &status, 0);
  said[used] = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int await(char **part, long long *end) {
  int which = part[0] ? source_named(part[0]) : -1;
  if (which < 0) return tell("await needs a source");
  struct heard *line = wait_for(which, 0, part + 1);
  if (!line) return tell("it never came");
  *end = line->at;
  tell(line->text);
  return 0;
}

static void forget(void) {
  while (count > 0) free(heard[--count].text);
}

static int obey(char **part, int parts, long long *end) {
  const char *verb = part[0];
  if (!strcmp(verb, "connect")) return connect_to(part + 1);
  if (!strcmp(verb, "mark")) { listen_for(0, -1); forget(); return 0; }
  if (!strcmp(verb, "await")) return await(part + 1, end);
  if (!strcmp(verb, "send") && parts == 2) return send_json(part[1], -1);
  if (!strcmp(verb, "lend") && parts == 4) return lend(part + 1);
  if (!strcmp(verb, "write") && parts >= 2) return write_to(part + 1);
  if (!strcmp(verb, "own") && parts == 4) return chown(part[1], atoi(part[2]), atoi(part[3])) ? fail(part[1]) : 0;
  if (!strcmp(verb, "memlock") && parts == 2)
    return prlimit(atoi(part[1]), RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}, NULL) ? fail("prlimit") : 0;
  if (!strcmp(verb, "signal") && parts == 3) return kill(atoi(part[1]), atoi(part[2])) ? fail("kill") : 0;
  if (!strcmp(verb, "free") && parts == 2) return until_free(part[1]);
  if (!strcmp(verb, "run") && parts >= 2) return run(part + 1);
  return tell("no such command");
}

// The next line of standard input, without its end. While it has to wait for one, it listens.
static int next_command(char *line) {
  static char text[LENGTH];
  static int used;
  for (char *end; !(end = memchr(text, '\n', used)) || !memcpy(line, text, end - text);) {
    if (used == LENGTH) return 0;
    if (!listen_for(patience, 0)) continue;
    ssize_t got = read(0, text + used, LENGTH - used);
    if (got <= 0) return 0;
    used += got;
  }
  int length = (char *)memchr(text, '\n', used) - text;
  line[length] = 0;
  used -= length + 1;
  memmove(text, text + length + 1, used);
  return 1;
}

int main(void) {
  static char line[LENGTH];
  struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = 1};
  int room = 1 << 20;
  sources[KERNEL].fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  if (bind(sources[KERNEL].fd, (struct sockaddr *)&all, sizeof all)) { perror("netlink"); return 1; }
  setsockopt(sources[KERNEL].fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  while (next_command(line)) {
    char *part[PARTS + 1] = {0};
    int parts = 0;
    for (char *rest = line, *one; parts < PARTS && (one = strsep(&rest, "\t"));) part[parts++] = one;
    said[0] = 0;
    long long begun = now(), ended = 0;
    int result = obey(part, parts, &ended);
    if (!ended) ended = now();
    for (char *bad = said; (bad = strpbrk(bad, "\n\t"));) *bad = ' ';
    printf("%s\t%lld\t%lld\t%s\n", result ? "failed" : "ok", begun, ended, said);
    fflush(stdout);
  }
  return 0;
}
