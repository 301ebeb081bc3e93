/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Optimizers: trajectories as PyTorch 1.13 makes them, steps that stay positive, clipping, schedules. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "num/kernels.h"
#include "train/optim.h"
#include "../tap.h"

/* Three weights that decay and a bias that does not. */
static qs_net *small(void)
{
    static const float w[] = {0.5f, -1.25f, 2}, b[] = {0.1f};
    qs_net *net = qs_net_new(1, 1, 3, NULL);
    qs_net_add(net, &(qs_layer){.op = QS_OP_LINEAR, .in = -1, .out = 1}, NULL);
    memcpy(net->param[0].v, w, sizeof w);
    memcpy(net->param[1].v, b, sizeof b);
    return net;
}

/* torch.optim: lr 0.1, weight_decay 0.01 on the weights; gradients as in `trajectory`. */
static const double sgd[][4] = {
    {0.469500005, -1.22874999, 2.0079999, 0.0599999987},
    {0.381580502, -1.2033962, 2.01819181, -0.00599999912},
    {0.212071374, -1.18937445, 2.01534653, -0.0854000002},
    {-0.0606989153, -1.20056546, 1.97577035, -0.166859999},
    {-0.456131458, -1.24943686, 1.86817598, -0.240173995},
}, nesterov[][4] = {
    {0.44205001, -1.20962501, 2.0151999, 0.0240000021},
    {0.302505106, -1.18061423, 2.0273509, -0.0653999969},
    {0.0597377904, -1.17685008, 2.01274872, -0.156859994},
    {-0.305594027, -1.21078885, 1.94010711, -0.240173995},
    {-0.810758293, -1.29359233, 1.77135491, -0.306156605},
}, plain[][4] = {
    {0.469500005, -1.22874999, 2.0079999, 0.0599999987},
    {0.409030497, -1.22252119, 2.01099181, 0.0299999975},
    {0.318621457, -1.23129869, 1.99898076, 0.00999999698},
    {0.19830282, -1.25506735, 1.96198177, 0},
    {0.0481045134, -1.29381227, 1.89001977, 0},
}, adam[][4] = {
    {0.400000006, -1.14999998, 2.0999999, 0},
    {0.303376824, -1.06494117, 2.18836212, -0.0982575119},
    {0.207473606, -1.0279274, 2.17504287, -0.192512155},
    {0.111343913, -1.04777038, 2.11702991, -0.27904135},
    {0.0145458803, -1.09996891, 2.04554152, -0.352178246},
};

static void trajectory(const char *name, const qs_optim_opts *o, const double (*want)[4])
{
    qs_net *net = small();
    qs_optim q;
    double worst = 0;
    ok(!qs_optim_init(&q, o, net, NULL, 0, NULL), "%s: made", name);
    for (int t = 0; t < 5; t++) {
        const float k = (float)t;
        float gw[] = {0.3f * (k + 1), -0.2f + 0.15f * k, 0.05f * k * k - 0.1f}, gb[] = {0.4f - 0.1f * k};
        float *const grad[] = {gw, gb};
        qs_optim_step(&q, net, grad, NULL, 0.1, qs_optim_norm(&q, grad));
        for (int i = 0; i < 4; i++)
            worst = fmax(worst, fabs(want[t][i] - (double)(i < 3 ? net->param[0].v[i] : net->param[1].v[0])));
    }
    ok(worst < 5e-7, "%s: five steps are torch's (to %.1e)", name, worst);
    qs_optim_clear(&q);
    qs_net_unref(net);
}

static void clipping(void)
{
    qs_net *net = small();
    qs_optim q;
    const qs_optim_opts o = {.kind = QS_SGD, .clip = 2};
    float gw[] = {3, 4, 0}, gb[] = {12};
    float *const grad[] = {gw, gb};
    qs_optim_init(&q, &o, net, NULL, 0, NULL);
    near(qs_optim_norm(&q, grad), 13, 1e-12, "the norm of all gradients");
    qs_optim_step(&q, net, grad, NULL, 1, 13);
    near(net->param[0].v[0], 0.5 - 3 * 2.0 / 13, 1e-6, "clipped to norm 2");
    near(net->param[1].v[0], 0.1 - 12 * 2.0 / 13, 1e-6, "the bias too");
    gw[1] = NAN;
    ok(!isfinite(qs_optim_norm(&q, grad)), "a NaN shows in the norm");
    gw[1] = INFINITY;
    ok(!isfinite(qs_optim_norm(&q, grad)), "an infinity too");
    qs_optim_clear(&q);
    qs_net_unref(net);
}

/* Many blocks: equal to one after the other, whatever the threads. */
static void blocks(void)
{
    enum { N = 61 * 61 * 27 };
    const qs_optim_opts o = {.kind = QS_SGD, .momentum = 0.9, .decay = 1e-4};
    float *first = NULL;
    double norm[3];
    bool equal = true;
    for (int threads = 1; threads <= 3; threads++) {
        qs_net *net = qs_net_new(61, 61, 27, NULL);
        qs_net_add(net, &(qs_layer){.op = QS_OP_LINEAR, .in = -1, .out = 1}, NULL);
        qs_net_seed(net, 3);
        float *g = qs_xmalloc(N * sizeof *g), b = 0.5f, *const grad[] = {g, &b};
        for (int i = 0; i < N; i++) g[i] = (float)((i * 7919 % 1000) - 500) / 300;
        qs_optim q;
        qs_threads_set(threads);
        qs_optim_init(&q, &o, net, NULL, 0, NULL);
        norm[threads - 1] = qs_optim_norm(&q, grad);
        for (int t = 0; t < 3; t++) qs_optim_step(&q, net, grad, NULL, 0.01, norm[0]);
        if (first) equal = equal && !memcmp(first, net->param[0].v, N * sizeof *first) && norm[threads - 1] == norm[0];
        else {
            first = qs_xmalloc(N * sizeof *first);
            memcpy(first, net->param[0].v, N * sizeof *first);
        }
        free(g);
        qs_optim_clear(&q);
        qs_net_unref(net);
    }
    ok(equal, "the same bits on 1, 2 and 3 threads");
    free(first);
}

/* The twins of every instruction set give the bits of the reference, with tails of every length. */
static void twins(const char *isa)
{
    enum { N = 77 };
    const qs_kernels *a = qs_num_isa("scalar"), *b = qs_num_isa(isa);
    float g[N], x[2][3][N];
    qs_rng r;
    bool good = true;
    qs_rng_seed(&r, 4);
    for (size_t n = 0; n <= N && b; n++) {
        for (size_t i = 0; i < N; i++) {
            g[i] = (float)qs_rng_normal(&r);
            for (int k = 0; k < 3; k++) x[0][k][i] = x[1][k][i] = k == 1 ? (float)qs_rng_uniform(&r) : (float)qs_rng_normal(&r);
        }
        const qs_sgd s = {.lr = 0.013f, .momentum = 0.9f, .decay = 1e-3f, .scale = 0.7f, .nesterov = n % 2};
        const qs_adam d = {0.013f, 0.03f, 0.9f, 0.999f, 0.1f, 0.001f, 1e-8f, 1e-3f, 0.7f};
        a->sgd(&s, g, n, x[0][0], x[0][2]);
        b->sgd(&s, g, n, x[1][0], x[1][2]);
        a->adam(&d, g, n, x[0][0], x[0][1], x[0][2]);
        b->adam(&d, g, n, x[1][0], x[1][1], x[1][2]);
        good = good && !memcmp(x[0], x[1], sizeof x[0]) && a->sumsq(g, n) == b->sumsq(g, n);
    }
    ok(good, "%s: the bits of the reference%s", isa, b ? "" : " (not on this machine)");
}

/* ---- steps and offsets ---------------------------------------------------------------------- */
static qs_site site_of(const qs_net *net, const char *format, const char *learn, double rate, double decay)
{
    qs_site s;
    const qs_site_opts o = {.format = format, .init = "mse", .learn = learn, .step_rate = rate, .step_decay = decay};
    qs_err e = {0};
    if (qs_site_init(&s, net, 1, false, &o, 4, 4, &e)) printf("# %s\n", e.msg);
    return s;
}

static void steps(void)
{
    qs_net *net = small();
    qs_optim q;
    const qs_optim_opts o = {.kind = QS_SGD, .momentum = 0.9, .decay = 1};
    qs_site s[2] = {site_of(net, "int4+offset", "lsq+", 2, NAN), site_of(net, "int4", "none", 1, NAN)};
    float gw[3] = {0}, gb[1] = {0}, *const grad[] = {gw, gb};
    const double half = 0.5, tenth = 0.1;
    qs_optim_init(&q, &o, net, s, 2, NULL);
    qs_site_set(&s[0], &half, &tenth);
    qs_site_set(&s[1], &half, NULL);
    s[0].dstep[0] = 0.2;
    s[0].doffset[0] = -1;
    s[1].dstep[0] = 0.2;
    qs_optim_step(&q, net, grad, s, 0.1, 0);
    near(s[0].step[0], 0.5 - 0.1 * 2 * 0.2, 1e-12, "a step goes down its gradient, at its own rate, without decay");
    near(s[0].offset[0], 0.1 + 0.1 * 2, 1e-12, "an offset likewise");
    near(s[1].step[0], 0.5, 0, "learn none stays");
    qs_optim_step(&q, net, grad, s, 0.1, 0);
    near(s[0].step[0], 0.5 - 0.04 - 0.2 * (0.9 * 0.2 + 0.2), 1e-12, "with momentum");
    s[0].dstep[0] = 1e9;
    double before = s[0].step[0];
    qs_optim_step(&q, net, grad, s, 0.1, 0);
    near(s[0].step[0], before / 2, 1e-12, "no update takes more than half of a step");
    s[0].dstep[0] = -1e9;
    qs_optim_step(&q, net, grad, s, 0.1, 0);
    near(s[0].step[0], 2 * before, 1e-12, "nor makes it more than four times as large");
    s[0].dstep[0] = 0;
    qs_optim_step(&q, net, grad, s, 0.1, 0);
    near(s[0].step[0], 2 * before, 1e-12, "and what would have gone further has no momentum");
    s[0].dstep[0] = 1e9;
    for (int t = 0; t < 200; t++) qs_optim_step(&q, net, grad, s, 0.1, 0);
    ok(s[0].step[0] > 0 && isfinite(s[0].step[0]), "a step stays positive whatever its gradient (%g)", s[0].step[0]);
    s[0].dstep[0] = -1e300;
    for (int t = 0; t < 20; t++) qs_optim_step(&q, net, grad, s, 1e10, 0);
    ok(s[0].step[0] > 0 && isfinite(s[0].step[0]), "and finite (%g)", s[0].step[0]);
    qs_optim_clear(&q);
    qs_site_clear(&s[0]);
    qs_site_clear(&s[1]);
    qs_net_unref(net);
}

static void step_decay(void)
{
    qs_net *net = small();
    const qs_optim_opts o = {.kind = QS_SGD};
    qs_site s[2] = {site_of(net, "int4", "pact", 1, NAN), site_of(net, "int4", "lsq", 1, 0.25)};
    float gw[3] = {0}, gb[1] = {0}, *const grad[] = {gw, gb};
    const double two = 2;
    qs_optim q;
    qs_optim_init(&q, &o, net, s, 2, NULL);
    for (int i = 0; i < 2; i++) qs_site_set(&s[i], &two, NULL);
    qs_optim_step(&q, net, grad, s, 0.5, 0);
    near(s[0].step[0], 2 - 0.5 * 1e-4 * 2, 1e-12, "pact's clip decays as published");
    near(s[1].step[0], 2 - 0.5 * 0.25 * 2, 1e-12, "another's if asked");
    qs_optim_clear(&q);
    for (int i = 0; i < 2; i++) qs_site_clear(&s[i]);
    qs_net_unref(net);
}

/* Adam moves a step by the learning rate at first, whatever the size of the gradient. */
static void adam_steps(void)
{
    qs_net *net = small();
    const qs_optim_opts o = {.kind = QS_ADAM, .momentum = 0.9, .beta2 = 0.999, .eps = 1e-12};
    qs_site s = site_of(net, "int4", "lsq", 1, NAN);
    float gw[3] = {0}, gb[1] = {0}, *const grad[] = {gw, gb};
    const double one = 1;
    qs_optim q;
    qs_optim_init(&q, &o, net, &s, 1, NULL);
    qs_site_set(&s, &one, NULL);
    s.dstep[0] = 1e-3;
    qs_optim_step(&q, net, grad, &s, 0.01, 0);
    near(s.step[0], 0.99, 1e-9, "Adam: the first update of a step is the learning rate");
    qs_optim_step(&q, net, grad, &s, 0.01, 0);
    near(s.step[0], 0.98, 1e-9, "and the second, of the same gradient");
    qs_optim_clear(&q);
    qs_site_clear(&s);
    qs_net_unref(net);
}

static void schedules(void)
{
    near(qs_schedule_lr(QS_COSINE, 0.1, 0, 0, 0, 100), 0.1, 1e-15, "cosine begins at lr");
    near(qs_schedule_lr(QS_COSINE, 0.1, 0, 0, 50, 100), 0.05, 1e-12, "is at half of it in the middle");
    near(qs_schedule_lr(QS_COSINE, 0.1, 0, 0, 99, 100), 0.05 * (1 + cos(M_PI * 0.99)), 1e-12, "and nearly 0 at the last step");
    near(qs_schedule_lr(QS_STEPWISE, 0.1, 0.5, 30, 29, 100), 0.1, 1e-12, "stepwise: as it was");
    near(qs_schedule_lr(QS_STEPWISE, 0.1, 0.5, 30, 60, 100), 0.025, 1e-12, "stepwise: twice times gamma");
    near(qs_schedule_lr(QS_CONSTANT, 0.1, 0.5, 30, 60, 100), 0.1, 0, "constant");
}

int main(void)
{
    trajectory("sgd", &(qs_optim_opts){.kind = QS_SGD, .momentum = 0.9, .decay = 0.01}, sgd);
    trajectory("nesterov", &(qs_optim_opts){.kind = QS_SGD, .momentum = 0.9, .nesterov = true, .decay = 0.01}, nesterov);
    trajectory("plain", &(qs_optim_opts){.kind = QS_SGD, .decay = 0.01}, plain);
    trajectory("adam", &(qs_optim_opts){.kind = QS_ADAM, .momentum = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01}, adam);
    twins("avx2");
    twins("avx512");
    clipping();
    blocks();
    steps();
    step_decay();
    adam_steps();
    schedules();
    return done();
}
