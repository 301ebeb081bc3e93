/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef QS_UI_SCREEN_H
#define QS_UI_SCREEN_H
/*
 * The state of the screen, shared by the files of this room and by nobody else.
 * A view draws a snapshot into the grid and changes only its own part here;
 * what the user wants changed in the session goes out as a pick (actions.c).
 */
#include "plot/cells.h"
#include "plot/color.h"
#include "plot/plot.h"
#include "ui/keys.h"
#include "ui/ui.h"

#define QS_FMT 32             /* bytes of a number as text */
enum { QS_V_LIST, QS_V_HIST, QS_V_CURVE, QS_V_COMPARE, QS_V_MAP, QS_V_TRAIN, QS_V_RESULTS, QS_V_RACE, QS_VIEWS };

/* ---- numbers on screen that can be explained ------------------------------------------- */
enum qs_num {
    QS_N_COUNT, QS_N_STD, QS_N_KURT, QS_N_SQNR, QS_N_MSE, QS_N_MSE_RATIO, QS_N_STEP, QS_N_STEP_RATIO, QS_N_CLIP,
    QS_N_CLIPPED, QS_N_MS, QS_N_BIN, QS_N_LEVELS, QS_N_BITS, QS_N_SIZE, QS_N_GAIN, QS_N_ROUND,
    /* of a quantized tensor against the float one */
    QS_N_V_SQNR, QS_N_V_MSE, QS_N_V_MAX, QS_N_V_LEVELS, QS_N_V_BITS,
    /* of a run and of its quantizer that is looked at */
    QS_N_ACCURACY, QS_N_RUN_STEP, QS_N_RUN_ERROR, QS_N_RUN_CLIPPED, QS_N_RUN_LEVELS, QS_N_RUN_ENTROPY, QS_N_OSCILLATE, QS_N_LSQ_R,
    QS_N_PULL, QS_N_SLOPE, QS_N_PROBES,
    /* of a race */
    QS_N_START, QS_N_TRAIN_SECONDS,
    /* of a group of results */
    QS_N_CELLS, QS_N_GROUP_MEAN, QS_N_INTERVAL, QS_N_GROUP_STD, QS_N_LEAST, QS_N_GREATEST, QS_N_DIFF, QS_N_DIFF_INTERVAL, QS_N_P, QS_NUMS
};
typedef struct qs_spot {
    int y, x, w;
    enum qs_num kind;
    int view;
    size_t row;               /* of the list, the comparison, the groups of results; SIZE_MAX: the current quantizer */
    double value;
} qs_spot;
#define QS_SPOTS 1024

/* ---- small states ------------------------------------------------------------------------- */
enum { QS_POP_NONE, QS_POP_HELP, QS_POP_MENU, QS_POP_ASK, QS_POP_FILTER, QS_POP_EXPORT };

typedef struct qs_menu {
    const char *title, *hint;
    char **item;              /* owned */
    char **note;              /* (n) beside each, or NULL; owned */
    size_t n, cur, top;
    char typed[128];
    void (*chosen)(struct qs_ui *u, const char *text);
} qs_menu;

/* A line that is typed into, with a cursor in it. */
typedef struct qs_edit { char text[256]; size_t at; } qs_edit;

typedef struct qs_ui {
    const qs_ui_opts *o;
    qs_snapshot *s;           /* the newest, or NULL */
    qs_cells g;
    qs_charset cs;
    bool ascii;               /* only ASCII can be shown */
    int h, w;
    int quit;                 /* -1: go on; else the exit code */
    bool dirty, fresh;        /* something to draw; something to draw at once */

    /* layout */
    int focus;                /* QS_V_*; the console has con_focus */
    bool con_focus;
    int pane;                 /* the view that shows where there is room for one */
    bool wide;                /* the focused pane alone */
    qs_rect place[QS_VIEWS];  /* h = 0: hidden */
    qs_rect con;              /* log lines; the prompt is its last row */
    int con_scroll;
    int cur_y, cur_x;         /* the terminal's cursor; -1: hidden */

    /* what was asked for and is not answered yet */
    qs_pick want;
    uint64_t want_ticket;     /* of the last pick sent */
    double want_since;
    char seen_view[16];
    qs_viewport vp;

    /* views */
    struct { size_t cur, top, n; size_t *order; int sort; bool down; char filter[64]; char cur_name[256]; } list;
    struct { bool log_y, quant, cursor_on; double cursor; qs_rect area; double lo, hi; bool log_x; } hist;
    struct { qs_rect area; double lo, hi; bool parts; } curve;
    struct { int sort; bool down; size_t cur, top; size_t order[64], n; char cur_name[64]; } compare;
    struct { int metric; size_t row, col, top, left; struct qs_map_table *table; } map;
    struct { int back; bool flip_log, sizes; qs_rect area; qs_axis x; } train;   /* the view to go back to; where time runs, for the mouse */
    struct { int back, panel; bool one, all, same; size_t site; } race;   /* site: chosen, from 1; one: a panel although all have room; all: they are drawn; same: steps
                                                                             against where the first racer began */
    struct { int back, sort; bool down, flip; size_t cur, top, n, *order; qs_rect rows; } results;   /* flip: the other end of the metric is best */

    /* popups */
    int pop;
    int pop_top;
    qs_menu menu;

    /* export */
    struct { char what[16]; qs_edit name; bool sure; uint64_t seen; } export;   /* sure: the file is there, and that is asked about */
    struct qs_page *page;     /* where plots go beside the grid, or NULL */

    /* explain */
    qs_spot spot[QS_SPOTS];
    size_t nspot;
    bool explain;
    qs_spot at;               /* the number that is explained */

    /* messages */
    char message[300];
    bool message_bad;
    uint64_t seen_running;    /* the queue when it was last looked at: what the status line shows */
    size_t seen_queued;
    uint64_t stage_job;       /* job that Ctrl-C was pressed for */
    int stage;
    uint64_t sent_id;         /* the last line submitted, and its text */
    char *sent_text;
    uint64_t log_seen;
} qs_ui;

/* ---- loop.c ---- */
void qs_ui_say(qs_ui *u, bool bad, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void qs_ui_touch(qs_ui *u);                       /* draw at once */
void qs_ui_key(qs_ui *u, int key);
void qs_ui_console_bytes(qs_ui *u, const char *b, size_t n);
void qs_ui_draw_now(qs_ui *u);
bool qs_ui_idle(const qs_ui *u);                  /* nothing runs, nothing is awaited */
void qs_ui_interrupt(qs_ui *u);                   /* Ctrl-C was pressed */

/* ---- layout.c ---- */
void qs_ui_layout(qs_ui *u);
void qs_ui_draw(qs_ui *u);                        /* everything into u->g */
/* A frame with a title left and notes right and below; returns the inside. */
qs_rect qs_ui_frame(qs_ui *u, int view, qs_rect r, const char *title, const char *right, const char *foot);
void qs_ui_focus(qs_ui *u, int view);
size_t qs_ui_log_lines(const qs_ui *u);
/* Bytes of the next row of a text in w columns: up to its last blank, or as many as fit where there is none. */
size_t qs_ui_row_bytes(const char *s, int w);

/* ---- actions.c ---- */
void qs_act_tensor(qs_ui *u, const char *name);
void qs_act_next_model(qs_ui *u);
void qs_act_format(qs_ui *u, const char *format);
void qs_act_init(qs_ui *u, const char *init);
void qs_act_step(qs_ui *u, double step);
void qs_act_step_by(qs_ui *u, double factor);
void qs_act_channel(qs_ui *u, long channel);
void qs_act_view(qs_ui *u, int view);
void qs_act_bits(qs_ui *u, int by);
void qs_act_granularity(qs_ui *u, const char *gran);
void qs_act_run(qs_ui *u, long run);
void qs_act_site(qs_ui *u, const char *name);
void qs_act_seek(qs_ui *u, double t);
/* One field of what is looked at of results: QS_PICK_SWEEP ... QS_PICK_GROUP. */
void qs_act_results(qs_ui *u, unsigned field, const char *text);
void qs_act_line(qs_ui *u, const char *lua);      /* a line as if it had been typed */
void qs_act_undo(qs_ui *u);
void qs_act_pin(qs_ui *u);
/* As the user sees it: what was asked for, else what the snapshot says. */
const char *qs_cur_tensor(const qs_ui *u);
const char *qs_cur_format(const qs_ui *u);
double qs_cur_step(const qs_ui *u);
const char *qs_cur_site(const qs_ui *u);
double qs_cur_seek(const qs_ui *u);               /* steps made; -1: live */
const char *qs_cur_group(const qs_ui *u);         /* of results; "": none yet */
/* Drops what is answered, follows qs.select{view=}; called with every new snapshot. */
void qs_act_news(qs_ui *u);

/* ---- export.c ---- */
void qs_export_open(qs_ui *u, bool screen);       /* asks for a name: for the pane that has the keys, or for the screen */
void qs_export_key(qs_ui *u, int key);
void qs_export_draw(qs_ui *u);
void qs_export_news(qs_ui *u);                    /* writes what the snapshot asks for */
/* Views draw plots by this: into the grid, and onto the page of an export. */
void qs_ui_plot(qs_ui *u, const qs_plot *p, qs_rect r, qs_rect *area);

/* ---- views ---- */
typedef struct qs_view {
    const char *name;                             /* as in qs_selected.view */
    const char *title;
    qs_key_table keys;
    void (*draw)(qs_ui *u, qs_rect r);
    void (*click)(qs_ui *u, int y, int x);        /* or NULL */
    void (*wheel)(qs_ui *u, int by);              /* or NULL */
} qs_view;
extern const qs_view qs_view_list, qs_view_hist, qs_view_curve, qs_view_compare, qs_view_map, qs_view_train, qs_view_results,
                     qs_view_race;
const qs_view *qs_view_of(int v);
void qs_map_free(qs_ui *u);

/* ---- view_train.c, view_site.c ---- */
void qs_train_open(qs_ui *u, bool start);         /* the view of training, and back; start: the demonstration, if no run is there */
void qs_train_demo(qs_ui *u, const char *init);   /* trains the bundled network at 2 bits from there */
int qs_run_role(const qs_snap_run *r);
const char *qs_fmt_time(char out[QS_FMT], double seconds);
void qs_site_draw(qs_ui *u, qs_rect r);           /* the quantizer looked at: values, levels, error, where it is pulled */

/* ---- view_results.c ---- */
void qs_results_open(qs_ui *u);                   /* the view of results, and back */

/* ---- view_race.c ---- */
void qs_race_open(qs_ui *u, bool now);            /* the view of races, and back; now: starts one of the bundled network */
void qs_race_play(qs_ui *u, const char *name, int speed);   /* a recorded one, so many times as fast as it was */
const char *qs_race_owner(const qs_ui *u, size_t spot_row);   /* the initialization that a number of its table is of */

/* ---- menu.c ---- */
void qs_menu_formats(qs_ui *u);
void qs_menu_inits(qs_ui *u);
void qs_menu_channels(qs_ui *u);
void qs_menu_branch(qs_ui *u);                    /* a new run from here */
void qs_menu_again(qs_ui *u);                     /* the demonstration from another start */
void qs_menu_by(qs_ui *u);                        /* parameters that groups of results are made by */
void qs_menu_metric(qs_ui *u);
void qs_menu_races(qs_ui *u);                     /* the recorded races */
void qs_menu_key(qs_ui *u, int key);
void qs_menu_draw(qs_ui *u);
void qs_menu_close(qs_ui *u);
void qs_help_draw(qs_ui *u);
void qs_help_key(qs_ui *u, int key);
/* An empty box in the middle, cleared and framed; returns the inside. */
qs_rect qs_ui_box(qs_ui *u, int h, int w, const char *title, const char *foot);

/* ---- explain.c ---- */
/* Draws a number and makes it explainable. width: right-aligned. */
void qs_ui_number(qs_ui *u, int view, int y, int x, int w, const char *text, enum qs_num kind, size_t row, double value,
                  int role, int attr);
/* Makes a number that is already drawn, w columns from x on, explainable. */
void qs_ui_spot(qs_ui *u, int view, int y, int x, int w, enum qs_num kind, size_t row, double value);
void qs_explain_start(qs_ui *u);
void qs_explain_key(qs_ui *u, int key);
void qs_explain_draw(qs_ui *u);

/* ---- fmt.c: numbers as text; NaN is "…" ---- */
char *qs_fmt_sig(char out[QS_FMT], double v, int digits);      /* 0.1012, 3.412e-04 */
char *qs_fmt_fit(char out[QS_FMT], double v, int width);       /* as many digits as fit */
char *qs_fmt_fixed(char out[QS_FMT], double v, int decimals);
char *qs_fmt_count(char out[QS_FMT], double n, int width);     /* 1,234,567 or 1.23M */
char *qs_fmt_bytes(char out[QS_FMT], double bytes);
char *qs_fmt_db(char out[QS_FMT], double v);                   /* 16.6; 8.95e+01 never: "99+" */
char *qs_fmt_percent(char out[QS_FMT], double fraction);       /* 0.63 % */

/* ---- script.c: QUANTSCOPE_SCRIPT ---- */
int qs_script_open(const char *path, qs_err *err);
bool qs_script_active(void);
/* Milliseconds until the next action may be due; does what is due. Negative: the script failed (err). */
int qs_script_step(qs_ui *u, qs_err *err);
void qs_script_close(void);

#endif
