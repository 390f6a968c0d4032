// Measures relays of keys in the lab's Linux host, and is the simplest one itself.
//
//   relay EVENT   grabs /dev/input/EVENT, makes a virtual keyboard, prints its event node and copies from the one to the other until
//                 standard input ends: the floor that no relay gets below
//   type          makes a virtual keyboard, prints its event node and obeys lines on standard input:
//     delay EVENT COUNT   presses and releases keys, COUNT in all, and prints how long each took until it was read from EVENT, microseconds
//     across EVENT        prints "ready", taps a key each millisecond until the next line comes, and listens to its own node and to EVENT.
//                         Prints, for those who gave or took it meanwhile: when (CLOCK_MONOTONIC, microseconds) the first tap was typed that
//                         isn't heard any more where those before were, when the first one was heard on the other side, how many were heard
//                         nowhere, and how many there were
// A node that is not the keyboard's own is grabbed: QEMU, which would grab it as well, then hears nothing.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 100000, BETWEEN_KEYS = 3000, BETWEEN_TAPS = 1000 };
static const char letters[] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 35, 36, 37, 38, 44, 45, 46, 47, 48, 49, 50};
static struct tap { long long typed, here, there; } taps[MOST];
static char own[32];

static void die(const char *what) { perror(what); exit(1); }

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void pause_for(long microseconds) { nanosleep(&(struct timespec){0, microseconds * 1000}, NULL); }

static void put(int file, const struct input_event *events, int count) {
  ssize_t size = count * sizeof *events;
  if (write(file, events, size) != size) die("write");
}

// A keyboard with letters alone; its event node's name goes to event.
static int make_keyboard(const char *name, char *event) {
  char input[64], path[128];
  int file = open("/dev/uinput", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct uinput_setup setup = {.id = {BUS_VIRTUAL, 0x1209, 0x5a5b, 1}};
  struct dirent *entry;
  if (file < 0) die("/dev/uinput");
  strcpy(setup.name, name);
  ioctl(file, UI_SET_EVBIT, EV_KEY);
  ioctl(file, UI_SET_EVBIT, EV_REP);
  for (unsigned i = 0; i < sizeof letters; i++) ioctl(file, UI_SET_KEYBIT, letters[i]);
  if (ioctl(file, UI_DEV_SETUP, &setup) || ioctl(file, UI_DEV_CREATE)) die("uinput");
  ioctl(file, UI_GET_SYSNAME(sizeof input), input);
  snprintf(path, sizeof path, "/sys/devices/virtual/input/%s", input);
  DIR *directory = opendir(path);
  while (directory && (entry = readdir(directory))) if (!strncmp(entry->d_name, "event", 5)) snprintf(event, 32, "%.31s", entry->d_name);
  if (directory) closedir(directory);
  return file;
}

static int open_node(const char *event) {
  char path[64];
  int clock = CLOCK_MONOTONIC;
  snprintf(path, sizeof path, "/dev/input/%s", event);
  int file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  // udev may not have made it yet.
  for (int i = 0; file < 0 && i < 200; i++) { pause_for(10000); file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); }
  if (file < 0 || ioctl(file, EVIOCSCLOCKID, &clock)) die(path);
  if (strcmp(event, own) && ioctl(file, EVIOCGRAB, 1)) die("EVIOCGRAB");
  return file;
}

static void relay(const char *event) {
  struct input_event events[64], out[64];
  char made[32] = "";
  int from = open_node(event), to = make_keyboard("Lab relay", made);
  struct pollfd fds[2] = {{from, POLLIN, 0}, {0, POLLIN, 0}};
  puts(made);
  fflush(stdout);
  for (;;) {
    if (poll(fds, 2, -1) < 0) die("poll");
    if (fds[1].revents) exit(0);
    int count = read(from, events, sizeof events) / (int)sizeof *events, kept = 0;
    for (int i = 0; i < count; i++) if (events[i].type != EV_KEY || events[i].value != 2) out[kept++] = events[i];
    if (kept > 0) put(to, out, kept);
  }
}

static void delay(int keyboard, const char *event, int count) {
  struct input_event got[64];
  struct pollfd fd = {open_node(event), POLLIN, 0};
  while (read(fd.fd, got, sizeof got) > 0) {}
  for (int i = 0; i < count; i++) {
    int code = letters[i / 2 % sizeof letters], value = i % 2 == 0, seen = 0;
    struct input_event one[2] = {{.type = EV_KEY, .code = code, .value = value}, {.type = EV_SYN}};
    pause_for(BETWEEN_KEYS);
    long long begun = now();
    put(keyboard, one, 2);
    while (!seen) {
      if (poll(&fd, 1, 5000) <= 0) { fputs("a key was not heard\n", stderr); exit(1); }
      int some = read(fd.fd, got, sizeof got) / (int)sizeof *got;
      for (int k = 0; k < some; k++) seen |= got[k].type == EV_KEY && got[k].code == code && got[k].value == value;
    }
    printf("%lld ", now() - begun);
  }
  puts("");
  close(fd.fd);
}

// Notes what a side has heard since; next is the tap that it would hear next.
static void note(int file, int side, int *next, int count) {
  struct input_event got[64];
  int some = read(file, got, sizeof got) / (int)sizeof *got;
  for (int i = 0; i < some; i++) {
    if (got[i].type != EV_KEY || got[i].value != 1) continue;
    // Those before may have been heard on the other side, or nowhere. What is heard is younger than there are letters.
    if (*next < count - (int)sizeof letters) *next = count - (int)sizeof letters;
    while (*next < count && letters[*next % sizeof letters] != got[i].code) ++*next;
    if (*next >= count) return;
    long long at = got[i].time.tv_sec * 1000000LL + got[i].time.tv_usec;
    if (side) taps[*next].there = at; else taps[*next].here = at;
    ++*next;
  }
}

static void report(int count) {
  int from_here = 0, last = -1, first = -1, lost = 0;
  int missed;
  for (int i = 0; i < count && !taps[i].here && !taps[i].there; i++) from_here = i + 1;
  from_here = from_here < count && taps[from_here].here != 0;
  for (int i = 0; i < count; i++) if (from_here ? taps[i].here : taps[i].there) last = i;
  for (int i = count - 1; i >= 0; i--) if (from_here ? taps[i].there : taps[i].here) first = i;
  for (int i = 0; i < count - 5; i++) lost += !taps[i].here && !taps[i].there;
  missed = last + 1 < first ? last + 1 : first;
  if (last < 0 || first < 0) puts("0 0 0 0");
  else printf("%lld %lld %d %d\n", taps[missed].typed, from_here ? taps[first].there : taps[first].here, lost, count);
}

static void across(int keyboard, const char *event) {
  struct pollfd fds[3] = {{open_node(own), POLLIN, 0}, {open_node(event), POLLIN, 0}, {0, POLLIN, 0}};
  int next[2] = {0, 0}, count = 0;
  memset(taps, 0, sizeof taps);
  puts("ready");
  fflush(stdout);
  for (long long due = now(); count < MOST && !fds[2].revents;) {
    int code = letters[count % sizeof letters];
    struct input_event tap[4] = {{.type = EV_KEY, .code = code, .value = 1}, {.type = EV_SYN}, {.type = EV_KEY, .code = code}, {.type = EV_SYN}};
    taps[count].typed = now();
    put(keyboard, tap, 4);
    count++;
    for (due += BETWEEN_TAPS; !fds[2].revents;) {
      long long left = due - now();
      if (ppoll(fds, 3, &(struct timespec){0, (left > 0 ? left : 0) * 1000}, NULL) == 0) break;
      for (int i = 0; i < 2; i++) if (fds[i].revents) note(fds[i].fd, i, &next[i], count);
    }
    // After a hold-up the taps aren't made up for.
    if (due < now()) due = now();
  }
  pause_for(50000);
  for (int i = 0; i < 2; i++) { note(fds[i].fd, i, &next[i], count); close(fds[i].fd); }
  report(count);
}

static void type(void) {
  char line[128], event[32];
  int count, keyboard = make_keyboard("Lab typist", own);
  setvbuf(stdin, NULL, _IONBF, 0);
  puts(own);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "delay %31s %d", event, &count) == 2) delay(keyboard, event, count);
    else if (sscanf(line, "across %31s", event) == 1) across(keyboard, event);
    fflush(stdout);
  }
}

int main(int count, char **arguments) {
  if (count == 3 && !strcmp(arguments[1], "relay")) relay(arguments[2]);
  else if (count == 2 && !strcmp(arguments[1], "type")) type();
  else return 2;
  return 0;
}
