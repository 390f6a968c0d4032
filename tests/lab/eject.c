/* The guest's eject: opens the drive's tray as its command of that name does. It comes to the guest on the lab's discs. */
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char **words)
{
    int drive = open(count > 1 ? words[1] : "/dev/sr0", O_RDONLY | O_NONBLOCK);
    if (drive < 0 || ioctl(drive, CDROMEJECT, 0) < 0) {
        perror("eject");
        return 1;
    }
    puts("ejected");
    return 0;
}
