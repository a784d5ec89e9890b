/* Runs all parties of a bytecode file in one process: for sanitizers, fuzzers, valgrind and tests.
 *
 *     runner FILE.sqb PROTOCOL PARTIES [--tcp] [--threads a,b,c] [--input IDX=FILE]... [--seed HEX]
 *            [--checked 0|1] [--counters]
 *
 *     runner --load FILE...       only load, and print `accepted` or why each is refused
 *
 * --input gives input IDX raw ring words (missing inputs are zeros); --seed fixes the public
 * randomness, and in SEQ_TEST builds all other randomness too; --threads gives the threads of each
 * party. Prints, by party: printed lines, `output I party P: words` (signed decimal), totals, and
 * in SEQ_TEST builds a digest of everything that was sent. Exit status: the first seq_status that
 * is not 0. */
#include "../vm/vm.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    seq_run *run;
    seq_error_info err;
    int status;
} party;

typedef struct {
    const char *file, *protocol;
    unsigned parties, threads[VM_PARTIES];
    int tcp, checked, counters;
    const char *input[64];
    unsigned inputs;
    uint8_t seed[16];
    int has_seed;
} arguments;

static void die(const char *what, const char *detail) {
    (void)fprintf(stderr, "runner: %s%s%s\n", what, detail[0] ? ": " : "", detail);
    exit(SEQ_ERR_CONFIG);
}

static uint8_t *read_file(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        die("cannot read", path);
    }
    long n = ftell(f);
    rewind(f);
    /* Exactly as long as the file: a sanitizer sees any access beyond. */
    uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
    if (n < 0 || bytes == NULL || fread(bytes, 1, (size_t)n, f) != (size_t)n) {
        die("cannot read", path);
    }
    (void)fclose(f);
    *length = (size_t)n;
    return bytes;
}

static void parse_threads(arguments *a, const char *text) {
    for (unsigned p = 0; p < VM_PARTIES; p++) {
        a->threads[p] = (unsigned)strtoul(text, NULL, 10);
        const char *comma = strchr(text, ',');
        text = comma == NULL ? text : comma + 1;
    }
}

static void parse_seed(arguments *a, const char *text) {
    a->has_seed = 1;
    for (unsigned i = 0; i < 16 && strlen(text) >= 2 * i + 2; i++) {
        char byte[3] = {text[2 * i], text[2 * i + 1], 0};
        a->seed[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
}

static arguments parse(int argc, char **argv) {
    arguments a = {.checked = -1};
    parse_threads(&a, "1");
    if (argc < 4) {
        die("usage: runner FILE.sqb PROTOCOL PARTIES [options]", "");
    }
    a.file = argv[1];
    a.protocol = argv[2];
    a.parties = (unsigned)strtoul(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--tcp") == 0) {
            a.tcp = 1;
        } else if (strcmp(argv[i], "--counters") == 0) {
            a.counters = 1;
        } else if (strcmp(argv[i], "--threads") == 0) {
            parse_threads(&a, next), i++;
        } else if (strcmp(argv[i], "--input") == 0 && a.inputs < 64) {
            a.input[a.inputs++] = next, i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            parse_seed(&a, next), i++;
        } else if (strcmp(argv[i], "--checked") == 0) {
            a.checked = atoi(next), i++;
        } else {
            die("unknown option", argv[i]);
        }
    }
    if (a.parties < 1 || a.parties > VM_PARTIES) {
        die("parties are 1 to 10", "");
    }
    return a;
}

/* A listening socket on a free port of this machine. */
static int listen_anywhere(uint16_t *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 32) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        die("cannot listen", "");
    }
    *port = ntohs(at.sin_port);
    return fd;
}

static void give_inputs(const arguments *a, const seq_program *program, seq_run *run, unsigned me) {
    for (uint64_t i = 0; i < program->inputs; i++) {
        const seq_program_input *in = &program->input[i];
        size_t need = in->elements * program->word, length = 0;
        uint8_t *words = calloc(need + 1, 1);
        if (a->parties > 1 && in->party != me) {
            free(words);
            continue;
        }
        for (unsigned j = 0; j < a->inputs; j++) {
            const char *file = strchr(a->input[j], '=');
            if (file != NULL && strtoull(a->input[j], NULL, 10) == i) {
                free(words);
                words = read_file(file + 1, &length);
                if (length != need) {
                    die("an input file does not have the input's size", file + 1);
                }
            }
        }
        seq_error_info err;
        if (words == NULL || seq_run_input(run, i, words, in->elements, &err) != 0) {
            die("an input was refused", words == NULL ? "no memory" : err.message);
        }
        free(words);
    }
}

static void print_word(const seq_program *program, const void *words, size_t i) {
    char text[48], *at = text + sizeof text;
    __int128 v = program->word == 8 ? ((const int64_t *)words)[i] : ((const __int128 *)words)[i];
    unsigned __int128 rest = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    *--at = 0;
    do {
        *--at = (char)('0' + (unsigned)(rest % 10));
        rest /= 10;
    } while (rest != 0);
    (void)printf(" %s%s", v < 0 ? "-" : "", at);
}

static void print_counters(const seq_program *program, const seq_run *run, unsigned me) {
    seq_counter c;
    for (uint64_t i = 0; seq_run_counter(run, i, &c); i++) {
        (void)printf("counter %u %llu %s executed %llu rounds %llu sent", me, (unsigned long long)i,
                     program->instr[i].op->name, (unsigned long long)c.executed,
                     (unsigned long long)c.rounds);
        for (unsigned p = 0; p < VM_PARTIES; p++) {
            (void)printf(" %llu", (unsigned long long)c.sent[p]);
        }
        (void)printf("\n");
    }
}

static void print_results(const arguments *a, const seq_program *program, party *p, unsigned me) {
    char line[4096];
    const void *words;
    size_t elements;
    seq_totals t;
    while (seq_run_print(p->run, line, sizeof line)) {
        (void)printf("print %u: %s\n", me, line);
    }
    for (uint64_t i = 0; seq_run_output(p->run, i, &words, &elements) || i < program->outputs;
         i++) {
        if (!seq_run_output(p->run, i, &words, &elements)) {
            continue;
        }
        (void)printf("output %llu party %u:", (unsigned long long)i, me);
        for (size_t j = 0; j < elements; j++) {
            print_word(program, words, j);
        }
        (void)printf("\n");
    }
    if (a->counters) {
        print_counters(program, p->run, me);
    }
    seq_run_totals(p->run, &t);
    uint64_t sent = 0, received = 0;
    for (unsigned q = 0; q < VM_PARTIES; q++) {
        sent += t.sent[q];
        received += t.received[q];
    }
    (void)printf("total %u: rounds %llu sent %llu received %llu peak %llu\n", me,
                 (unsigned long long)t.rounds, (unsigned long long)sent,
                 (unsigned long long)received, (unsigned long long)t.peak_bytes);
#ifdef SEQ_TEST
    (void)printf("trace %u: %016llx\n", me, (unsigned long long)seq_run_trace(p->run));
#endif
}

static void *execute(void *arg) {
    party *p = arg;
    p->status = seq_run_execute(p->run, &p->err);
    return NULL;
}

static void make_runs(const arguments *a, const seq_program *program, party *parties, void *hub) {
    uint16_t ports[VM_PARTIES] = {0};
    int fds[VM_PARTIES];
    for (unsigned i = 0; i < a->parties; i++) {
        fds[i] = a->tcp ? listen_anywhere(&ports[i]) : -1;
    }
    for (unsigned i = 0; i < a->parties; i++) {
        seq_options o = {.protocol = a->protocol,
                         .me = i,
                         .parties = a->parties,
                         .threads = a->threads[i],
                         .channel = a->tcp ? NET_TCP : NET_MEMORY,
                         .listen_fd = fds[i],
                         .hub = hub,
                         .timeout_s = 60,
                         .connect_timeout_s = 60,
                         .checked = a->checked};
        memcpy(o.public_seed, a->seed, 16);
        for (unsigned j = 0; j < a->parties; j++) {
            o.hosts[j] = "127.0.0.1";
            o.ports[j] = ports[j];
        }
        parties[i].run = seq_run_new(program, &o, &parties[i].err);
        if (parties[i].run == NULL) {
            (void)fprintf(stderr, "party %u: %s\n", i, parties[i].err.message);
            exit(parties[i].err.status);
        }
#ifdef SEQ_TEST
        seq_run_fix(parties[i].run, a->has_seed ? a->seed : NULL);
#endif
        give_inputs(a, program, parties[i].run, i);
    }
}

static int load_only(int count, char **files) {
    for (int i = 0; i < count; i++) {
        size_t length;
        seq_error_info err;
        uint8_t *bytes = read_file(files[i], &length);
        seq_program *program = seq_program_load(bytes, length, &err);
        (void)printf("%s\n", program != NULL ? "accepted" : err.message);
        free(bytes);
        seq_program_free(program);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--load") == 0) {
        return load_only(argc - 2, argv + 2);
    }
    arguments a = parse(argc, argv);
    size_t length;
    uint8_t *bytes = read_file(a.file, &length);
    seq_error_info err;
    seq_program *program = seq_program_load(bytes, length, &err);
    free(bytes);
    if (program == NULL) {
        (void)fprintf(stderr, "%s\n", err.message);
        return err.status;
    }
    party parties[VM_PARTIES] = {0};
    pthread_t thread[VM_PARTIES];
    void *hub = a.tcp ? NULL : seq_hub_create(a.parties);
    make_runs(&a, program, parties, hub);
    for (unsigned i = 0; i < a.parties; i++) {
        if (pthread_create(&thread[i], NULL, execute, &parties[i]) != 0) {
            die("threads could not be started", "");
        }
    }
    int status = 0;
    for (unsigned i = 0; i < a.parties; i++) {
        (void)pthread_join(thread[i], NULL);
    }
    for (unsigned i = 0; i < a.parties; i++) {
        if (parties[i].status != 0) {
            (void)fprintf(stderr, "party %u: %s\n", i, parties[i].err.message);
            status = status == 0 ? parties[i].status : status;
        }
        print_results(&a, program, &parties[i], i);
        seq_run_free(parties[i].run);
    }
    seq_hub_free(hub);
    seq_program_free(program);
    return status;
}
