/* Runs all parties of a bytecode file in one process: for sanitizers, fuzzers, valgrind and tests.
 *
 *     runner FILE.sqb PROTOCOL PARTIES [--tcp] [--threads a,b,c] [--input IDX=FILE]... [--seed HEX]
 *            [--checked 0|1] [--counters] [--last FILE.sqb] [--differ run-id|public-seed|options]
 *            [--stop SECONDS] [--timeout SECONDS] [--connect SECONDS] [--checkpoints FOLDER]
 *            [--every N] [--resume] [--key PARTY] [--material FOLDER [--make]] [--tamper RULE]...
 *            [--cheat RULE]... [--view PARTY] [--masks PART/PARTS]
 *
 *     runner --load FILE...       only load, and print `accepted` or why each is refused
 *
 * --input gives input IDX raw ring words (missing inputs are zeros); --seed fixes the public
 * randomness, and in SEQ_TEST builds all other randomness too; --threads gives the threads of each
 * party. Prints, by party: printed lines, `output I party P: words` (signed decimal), totals, and
 * in SEQ_TEST builds a digest of everything that was sent. Checkpoints of party I go to FOLDER/I,
 * which exists, under a key of its own; --key gives one party another one. --material is used, or
 * made, in FOLDER/party-I, which exist. --tamper and --cheat:
 * tamper.h; then `frames` says how many each party sent to each, `made` how often it made words of
 * each kind. --view prints what is sent to a party, as `view FROM: hexadecimal`; --masks: masks.h.
 * Exit status: the first seq_status that blames no peer, or any; `status P S` gives each party's.
 */
#include "../vm/vm.h"
#include "masks.h"
#include "tamper.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    const seq_program *program;
    seq_run *run;
    seq_error_info err;
    int status;
} party;

typedef struct {
    const char *file, *last, *differ, *protocol;
    double stop_s, timeout_s, connect_s;
    unsigned parties, threads[VM_PARTIES];
    int tcp, checked, counters, resume, key, make;
    const char *checkpoints, *material;
    uint64_t every;
    unsigned part, parts; /* of masks; 0: none */
    const char *input[64];
    unsigned inputs;
    uint8_t seed[16];
    int has_seed;
    tamper *tamper;
} arguments;

static void die(const char *what, const char *detail) {
    (void)fprintf(stderr, "runner: %s%s%s\n", what, detail[0] ? ": " : "", detail);
    exit(SEQ_ERR_CONFIG);
}

/* The name of material lies beside it, in FOLDER/id. */
static void material_name(const arguments *a, uint8_t id[16], const char *mode) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/id", a->material);
    FILE *f = fopen(path, mode);
    if (f == NULL || (mode[0] == 'r' ? fread(id, 1, 16, f) : fwrite(id, 1, 16, f)) != 16) {
        die("no name of material", path);
    }
    (void)fclose(f);
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
    arguments a = {.checked = -1, .key = -1};
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
        } else if (strcmp(argv[i], "--masks") == 0) {
            if (sscanf(next, "%u/%u", &a.part, &a.parts) != 2 || a.part >= a.parts) {
                die("no part of masks", next);
            }
            i++;
        } else if (strcmp(argv[i], "--counters") == 0) {
            a.counters = 1;
        } else if (strcmp(argv[i], "--threads") == 0) {
            parse_threads(&a, next), i++;
        } else if (strcmp(argv[i], "--input") == 0 && a.inputs < 64) {
            a.input[a.inputs++] = next, i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            parse_seed(&a, next), i++;
        } else if (strcmp(argv[i], "--last") == 0) {
            a.last = next, i++;
        } else if (strcmp(argv[i], "--differ") == 0) {
            a.differ = next, i++;
        } else if (strcmp(argv[i], "--stop") == 0) {
            a.stop_s = atof(next), i++;
        } else if (strcmp(argv[i], "--timeout") == 0) {
            a.timeout_s = atof(next), i++;
        } else if (strcmp(argv[i], "--connect") == 0) {
            a.connect_s = atof(next), i++;
        } else if (strcmp(argv[i], "--checked") == 0) {
            a.checked = atoi(next), i++;
        } else if (strcmp(argv[i], "--checkpoints") == 0) {
            a.checkpoints = next, i++;
        } else if (strcmp(argv[i], "--every") == 0) {
            a.every = strtoull(next, NULL, 10), i++;
        } else if (strcmp(argv[i], "--resume") == 0) {
            a.resume = 1;
        } else if (strcmp(argv[i], "--material") == 0) {
            a.material = next, i++;
        } else if (strcmp(argv[i], "--make") == 0) {
            a.make = 1;
        } else if (strcmp(argv[i], "--tamper") == 0 || strcmp(argv[i], "--cheat") == 0 ||
                   strcmp(argv[i], "--view") == 0) {
            a.tamper = a.tamper == NULL ? tamper_new() : a.tamper;
            if (a.tamper == NULL || tamper_option(a.tamper, argv[i], next) != 0) {
                die("not a rule", next);
            }
            i++;
        } else if (strcmp(argv[i], "--key") == 0) {
            a.key = atoi(next), i++;
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
        if (words == NULL || seq_run_input(run, i, 0, words, in->elements, &err) != 0) {
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

static void print_results(const arguments *a, const party *p, unsigned me) {
    const seq_program *program = p->program;
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
    if (a->make) {
        uint8_t id[16];
        seq_run_material(p->run, id);
        material_name(a, id, "wb");
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

static void differ(seq_options *o, const char *what) {
    if (strcmp(what, "run-id") == 0) {
        o->run_id[0] ^= 1;
    } else if (strcmp(what, "public-seed") == 0) {
        o->public_seed[0] ^= 1;
    } else {
        o->options = "other";
    }
}

static void make_run(const arguments *a, party *p, seq_options *o) {
    if (a->differ != NULL && o->me + 1 == a->parties) {
        differ(o, a->differ);
    }
    char folder[4096];
    if (a->checkpoints != NULL) {
        (void)snprintf(folder, sizeof folder, "%s/%u", a->checkpoints, o->me);
        o->checkpoint_folder = folder;
        o->checkpoint_every = a->every;
        memset(o->checkpoint_key, (int)o->me == a->key ? 99 : (int)o->me + 1,
               sizeof o->checkpoint_key);
        o->resume = a->resume;
    }
    if (a->material != NULL) {
        o->material_folder = a->material;
        o->material_make = a->make;
        if (!a->make) {
            material_name(a, o->material_id, "rb");
        }
        memset(o->material_key[o->me], (int)o->me + 1, sizeof o->material_key[o->me]);
    }
    p->run = seq_run_new(p->program, o, &p->err);
    if (p->run == NULL) {
        (void)fprintf(stderr, "party %u: %s\n", o->me, p->err.message);
        exit(p->err.status);
    }
#ifdef SEQ_TEST
    seq_run_fix(p->run, a->has_seed ? a->seed : NULL);
    if (a->tamper != NULL) {
        seq_run_tamper(p->run, tamper_frame, tamper_words, a->tamper);
    }
#endif
    if (!a->resume && !a->make) {
        give_inputs(a, p->program, p->run, o->me);
    }
}

static void make_runs(const arguments *a, party *parties, void *hub) {
    seq_options o = {.protocol = a->protocol,
                     .parties = a->parties,
                     .channel = a->tcp ? NET_TCP : NET_MEMORY,
                     .hub = hub,
                     .timeout_s = a->timeout_s > 0 ? a->timeout_s : 60,
                     .connect_timeout_s = a->connect_s > 0 ? a->connect_s : 60,
                     .checked = a->checked};
    int fds[VM_PARTIES];
    memcpy(o.public_seed, a->seed, 16);
    for (unsigned i = 0; i < a->parties; i++) {
        o.hosts[i] = "127.0.0.1";
        fds[i] = a->tcp ? listen_anywhere(&o.ports[i]) : -1;
    }
    for (unsigned i = 0; i < a->parties; i++) {
        o.me = i;
        o.threads = a->threads[i];
        o.listen_fd = fds[i];
        make_run(a, &parties[i], &o);
    }
}

static seq_program *load(const char *path) {
    size_t length;
    seq_error_info err;
    uint8_t *bytes = read_file(path, &length);
    seq_program *program = seq_program_load(bytes, length, &err);
    free(bytes);
    if (program == NULL) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(err.status);
    }
    return program;
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
    seq_program *program = load(a.file), *last = a.last == NULL ? NULL : load(a.last);
    party parties[VM_PARTIES] = {0};
    pthread_t thread[VM_PARTIES];
    void *hub = a.tcp ? NULL : seq_hub_create(a.parties);
    for (unsigned i = 0; i < a.parties; i++) {
        parties[i].program = last != NULL && i + 1 == a.parties ? last : program;
    }
    make_runs(&a, parties, hub);
    if (a.parts > 0) {
        masks_begin(a.part, a.parts);
    }
    for (unsigned i = 0; i < a.parties; i++) {
        if (pthread_create(&thread[i], NULL, execute, &parties[i]) != 0) {
            die("threads could not be started", "");
        }
    }
    if (a.stop_s > 0) {
        (void)usleep((useconds_t)(a.stop_s * 1e6));
        seq_run_stop(parties[0].run);
    }
    int status = 0;
    for (unsigned i = 0; i < a.parties; i++) {
        (void)pthread_join(thread[i], NULL);
    }
    if (a.parts > 0) {
        masks_end();
    }
    for (unsigned i = 0; i < a.parties; i++) {
        if (parties[i].status != 0) {
            (void)fprintf(stderr, "party %u: %s\n", i, parties[i].err.message);
            status = status == 0 || status == SEQ_ERR_PEER ? parties[i].status : status;
        }
        (void)printf("status %u %d\n", i, parties[i].status);
        for (unsigned j = 0; a.tamper != NULL && j < a.parties; j++) {
            (void)printf("frames %u %u %u\n", i, j, tamper_count(a.tamper, i, j));
        }
        unsigned made;
        for (unsigned k = 0; a.tamper != NULL && tamper_made(a.tamper, i, k, &made) != NULL; k++) {
            (void)printf("made %u %s %u\n", i, tamper_made(a.tamper, i, k, &made), made);
        }
        print_results(&a, &parties[i], i);
        seq_run_free(parties[i].run);
    }
    tamper_free(a.tamper);
    seq_hub_free(hub);
    seq_program_free(program);
    seq_program_free(last);
    return status;
}
