/* What a request costs the machine itself: sleep until it is due, send it, wait for its answer, on one connection.

   bare PORT RATE SECONDS    (Poisson arrivals; what falls due meanwhile is sent as soon as it can be) */

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 4) return 2;
    const double rate = atof(words[2]), seconds = atof(words[3]);
    const char ask[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connection = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) return 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);

    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    double due = time.tv_sec + time.tv_nsec * 1e-9;
    const double end = due + seconds;
    char answer[4096];
    while ((due -= log(1.0 - drand48()) / rate) < end) {
        time.tv_sec = (time_t)due;
        time.tv_nsec = (long)((due - time.tv_sec) * 1e9);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        if (write(connection, ask, sizeof ask - 1) < 0 || read(connection, answer, sizeof answer) <= 0) return 1;
    }
    return 0;
}
