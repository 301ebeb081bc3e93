#!/bin/sh
# The screen, as its user sees it: keys go in through tmux, text comes out.
# Made-up numbers (tests/ui/fake), so that only the screen is tested.
. "${top_srcdir:-.}/tests/ui/lib.sh"
run=0

start() { # WxH, command
    tm kill-server 2>/dev/null
    run=$((run+1)); S=qs-screen-$$.$run
    tm -f /dev/null new-session -d -s a -x "${1%x*}" -y "${1#*x}" "PS1='$ ' ENV= exec sh" && sleep 0.2
    tm send-keys "TERM=xterm-256color FAKE_HISTORY=$D/history $2" Enter
}

# ---- 80 x 24 ------------------------------------------------------------------
start 80x24 "$fake"
see '^ quantscope +face_detection_front.onnx +int4 · lsq$' "the line above: model, format, initialization"
see '^╭─ Tensors ─+ 37 ─╮╭─ Weights +conv2d_1 +\[28,24,1,1\] ─+ log y ─╮$' "the list and one pane, side by side"
see '▸conv2d_1 +▁▂▄▇▇▄▂▁ 0\.[0-9]+ 1[0-9]\.[0-9]' "a row: name, spark-line, std, SQNR"
see 'bias_4 +1-D: a bias' "why a tensor is not quantized"
see 'F1 keys' "the status line says how to get help"
await 'conv2d_8 +▁'
[ "$(screen | wc -l)" -eq 24 ] && ! screen | grep -qE '^.{81}'; verdict $? "24 lines, none longer than the screen"
keys Down
see '▸depthwise_1 ' "Down: the next tensor"
see '^╭─.*╭─ .*depthwise_conv2d_1 ' "and the pane follows"
keys +
see 'qs.select\{step=[0-9.]{1,9}\}' "+ is echoed as the call it is"
see 'int4 · by hand$' "a step by hand has no initialization"
keys u; gone 'by hand$' "u takes it back"
keys '['
see ' int3 · lsq$' "[ takes a bit"
keys ']' ']' ']' ']' ']' ']'
see 'EFORMAT: format "int16" does not exist' "an impossible format is an error in the status line"
keys f; see 'Format ─' "f opens the menu of formats"
keys i n t 4 : f; see 'int4:flip +16 levels' "typing narrows it"
keys Enter; see ' int4:flip · lsq$' "Enter takes it"
keys i; see '● mse +1\.00 × +[0-9.]+ dB' "i: initializations with what they cost"
keys o c t; keys Enter; see ' · octav$' "typed and taken"
keys Space; sleep 0.3; keys i; await '● kl'; keys k l Enter
keys 2; see 'B +int4:flip · octav +step' "Space pinned B: shown beside A"
keys 3; see '● *kl|●kl' "3: the error curve, the chosen initialization marked"
screen | grep -q '▲'; verdict $? "and the others"
keys 4; see 'init .*×min .*SQNR' "4: the comparison"
see '● kl ' "the chosen one is marked"
keys m; see 'Worst: [a-z0-9_…]+ [0-9.]+ dB' "m: the map, its sentence"
see '@channel would give [0-9.]+ dB' "with what @channel would gain"
see ' +conv +dw' "columns are roles"
keys s s; see 'error ×min' "s: another colour"
keys Enter; see '─ (Weights )? *[a-z0-9_]+ .*log y ─╮$' "Enter opens the tensor"
keys 1 '?'; see 'SQNR = -10 log10\( mse / mean\(x\^2\) \)' "? explains a number by its formula"
see '10\^\(-[0-9.]+/10\) = 0\.' "with the values in it"
keys Left; see 'std = sqrt' "arrows go to the next number"
keys Escape; gone 'std = sqrt' "Escape closes"
keys / d e p Enter; see ' [0-9]+/1[0-9] .* · /dep' "/ filters the list"
keys / Escape; see ' [0-9]+/37 ' "Escape clears the filter"
keys F1; see 'results of sweeps, and back' "F1: the page of keys"
keys x; gone 'results of sweeps, and back' "any key closes it"
keys s; see ' · name ↑' "s sorts"
keys S; see ' · name ↓' "S turns it round"

# ---- export -------------------------------------------------------------------------
keys 1 e; see "^ export list to face_detection_front.onnx-list.svg +Enter Esc$" "e asks for a name, and proposes one"
keys Escape; gone '^ export list' "Esc writes nothing"
keys 2 e; await 'export hist to'
tm send-keys C-u; tm send-keys -l "$D/no/a.svg"; keys Enter
see 'EIO: .*/no/a.svg: No such file or directory' "a folder that is not there is named"
keys e C-a C-k; tm send-keys -l "$D/b.svgX"; keys BSpace Left Left Left Left BSpace a C-e Enter
see 'written: .*/a.svg$' "the line is edited as readline's, and says where it was written"
see '^ > qs.export\("hist", ".*/a.svg"\)' "and is the call that it is"
keys e C-a C-k; tm send-keys -l "$D/a.svg"; keys Enter
see 'a.svg is there already. Overwrite\? +y +n' "nothing is overwritten without being asked"
cp "$D/a.svg" "$D/want.svg"; keys n; see 'export hist to .*/a.svg' "n goes back to the name"
keys Enter y; see 'overwrite=true' "y writes over it"
keys e C-u; tm send-keys -l "$D/a.gif"; keys Enter; see 'must end in .svg, .pdf, .png' "another ending is named"
for v in 3 4 m; do keys $v e C-u; tm send-keys -l "$D/pane$v.svg"; keys Enter; see "written: .*/pane$v.svg" "the pane behind $v"; done
keys E; see 'export screen to quantscope-screen.svg' "E: the whole screen"
keys C-u; tm send-keys -l "$D/all.txt"; keys Enter; see 'written: .*/all.txt' "as text"
keys E C-u; tm send-keys -l "$D/all.ans"; keys Enter; see 'written: .*/all.ans' "with colours"
keys E C-u; tm send-keys -l "$D/all.svg"; keys Enter; see 'written: .*/all.svg' "as SVG"
keys E C-u; tm send-keys -l "$D/all.png"; keys Enter; see 'written: .*/all.png' "as PNG"
keys 2 w e C-u; tm send-keys -l "$D/wide.png"; keys Enter; see 'written: .*/wide.png' "a pane as PNG"; keys w
python3 - "$D" <<'P' >"$D/judged" 2>&1
import re, sys, xml.etree.ElementTree as ET
d, S = sys.argv[1] + "/", "{http://www.w3.org/2000/svg}"
def words(f): return ET.parse(d + f).getroot().find(S + "desc").text.split("\n")
w = words("a.svg")
assert any("depthwise" in x or "conv2d" in x for x in w) and "weights" in w and "value" in w and "count" in w, w
w = words("pane3.svg")
assert "mean squared error" in w and "mse" in w and "clipping" in w, w
for f in ("pane4.svg", "panem.svg", "all.svg"):
    t = ["".join(e.itertext()) for e in ET.parse(d + f).getroot().iter(S + "text")]
    assert len(t) > 10 and all(re.match("[0-9 ]+$", e.get("x")) for e in ET.parse(d + f).getroot().iter(S + "text"))
    if f == "pane4.svg": assert any("SQNR" in x for x in t) and not any("Tensors" in x for x in t), t
    if f == "all.svg": assert any("Tensors" in x for x in t) and any("quantscope" in x for x in t), t
lines = open(d + "all.txt", encoding="utf-8").read().split("\n")
assert len(lines) == 25 and max(map(len, lines)) <= 80 and "─ Tensors ─" in lines[1], lines
ans = open(d + "all.ans", encoding="utf-8").read()
assert "\033[0;1;38;5;" in ans and "─ Tensors ─" in re.sub("\033\\[[0-9;]*m", "", ans)
assert open(d + "all.png", "rb").read(8) == b"\x89PNG\r\n\x1a\n"
P
[ ! -s "$D/judged" ]; verdict $? "an XML parser and a text reader find in them what was on screen"
sed 's/^/# /' "$D/judged"
[ -z "$(find "$D" -name '*.tmp*')" ]; verdict $? "no half file is left"

# ---- the console ---------------------------------------------------------------
keys :; see 'Esc panes' "the console has the keys"
keys p r i n t '(' 1 ')' Enter; see '^ > print\(1\)$' "what was typed is echoed"
see '^ ok$' "and answered"
tm send-keys -l 'for i = 1, 3 do'; keys Enter; see '^ … *$' "an open block: the prompt goes on"
tm send-keys -l 'print(i) end'; keys Enter; see '^ > print\(i\) end$' "and sends all of it"
tm send-keys -l 'x ='; keys Enter; see '^ … *$' "what only Lua knows to be unfinished comes back"
tm send-keys -l '5'; keys Enter; see '^ > x =$' "and is sent with its end"
tm send-keys -l 'qs.'; keys Tab; see 'qs.compare +qs.curve +qs.init' "Tab shows candidates"
tm send-keys -l 'loa'; keys Tab; see '^ > qs.load' "Tab completes"
keys C-u; tm send-keys -l 'm["conv2d_0'; keys Tab; see '^ > m\["conv2d_0"' "a tensor's name inside quotes"
keys C-u; tm send-keys -l 'qs.init("l'; keys Tab; see '^ > qs.init\("lsq"' "a word in quotes"
keys C-u; tm send-keys -l "qs.load \"$D/hist"; keys Tab; see "history" "a file in quotes"
keys C-u C-r p r i n t; see "reverse-i-search.*print" "Ctrl-R searches the history"
keys C-g C-u; tm send-keys -l '日本é='; see '日本é=' "wide and accented characters"
keys C-u; tm send-keys -l 'fail'; keys Enter; see 'attempt to index a nil value' "an error is shown"
tm send-keys -l 'more'; keys Enter; see '^ line 60$' "a long answer"
keys PageUp PageUp PageUp; see '^ line [1-4][0-9] ' "PgUp scrolls"
tm send-keys -l 'sleep 60000'; keys Enter; see 'index [a-z0-9_]+ [0-9.]+ % · \^C cancels' "work shows its progress"
tm send-keys -l 'still typing'; see '> still typing' "typing goes on meanwhile"
keys Escape; await 'F1 keys'; keys Down; see '▱' "so do keys"
keys q; see 'Work is running. Quit all the same' "q asks while work runs"
keys n; sleep 0.2; keys C-c; see '^ interrupted$' "Ctrl-C cancels"
gone '▱' "and it is over"
keys : C-c; gone 'still typing' "Ctrl-C empties the line"
tm send-keys -l 'pick compare'; keys Enter; see 'init .*×min' "a view chosen by a script"
keys Escape; see 'F1 keys' "Escape returns to the panes"

# ---- the mouse ---------------------------------------------------------------------
tm send-keys -l "$(printf '\033[<0;5;4M\033[<0;5;4m')"; see '▸depthwise_' "a click selects a tensor"

# ---- sizes ---------------------------------------------------------------------------
resize() { tm resize-window -x "${1%x*}" -y "${1#*x}"; }
keys s s s s s s 2; resize 110x36
see '^╭─ Compare .*×min: against the least squares ─╮$' "110 x 36: all panes"
see '─ Error against step +int4.* MSE, log-log ─╮$' "with the error curve"
resize 160x48
see '┊.* quantized │$|quantized' "160 x 48: a second histogram"
see '╮╭─ Map ─' "and the map"
resize 40x12; see '^╭─.*─╮$' "40 x 12 still works"
resize 39x11; see '^39 x 11 is too small' "smaller says so"
resize 1x1; sleep 0.3; resize 300x80; see 'Compare' "from 1 x 1 to 300 x 80"
resize 80x24; see 'F1 keys' "and back"

# ---- the terminal around it -----------------------------------------------------------
keys C-z; see '^\$ *$' "Ctrl-Z gives the shell back"
tm send-keys fg Enter; see '^╭─ Tensors' "fg restores the screen"
keys q; see '^\$ *$' "q ends"
tm send-keys 'clear; stty -a | tr " ;" "\n\n" | grep -x -e icanon -e echo | tr "\n" +' Enter; see 'icanon\+echo\+' "the terminal is as it was"
start 80x24 "$fake; echo status \$?"; await 'F1 keys'
keys :; tm send-keys -l 'os.exit(3)'; keys Enter; see '^status 3$' "os.exit gives its code"
start 80x24 "$fake; echo status \$?"; await 'F1 keys'
keys : Up; see "^ > os.exit\(3\)$" "the history is kept from one time to the next"
keys C-u; tm send-keys -l 'stuck 60000'; keys Enter; await 'index'
keys C-c; see 'cancelled' "the first Ctrl-C cancels"
keys C-c; see 'cannot be stopped' "the second says what cannot be"
keys C-c; sleep 0.5; tm send-keys 'echo status $?' Enter; see '^status 130$' "the third ends the program"
start 80x24 "TERM=dumb $fake; echo status \$?"; see '^status 2$' "a dumb terminal: exit 2"
see 'needs a terminal .*quants' "and where to go instead"
start 80x24 "LC_ALL=C $fake"; see '^\+- Tensors -+' "LC_ALL=C: frames in ASCII"
screen | LC_ALL=C grep -q '[^ -~]'; [ $? -eq 1 ]; verdict $? "and nothing else"
start 80x24 "NO_COLOR=1 $fake"; await 'conv2d_8 +▁'
tm capture-pane -pe | LC_ALL=C grep -qE '\[[0-9;]*(3[0-7]|4[0-7]|38;5|48;5)'; [ $? -eq 1 ]; verdict $? "NO_COLOR: no colour"

# ---- QUANTSCOPE_SCRIPT --------------------------------------------------------------------
cat >"$D/s" <<END
# a demonstration
wait idle
key Down
key F1
capture $D/keys.txt
key x
type :
type print("é")
key Enter
wait idle
capture $D/done.txt
wait 50
quit
END
start 80x24 "QUANTSCOPE_SCRIPT=$D/s $fake; echo status \$?"; see '^status 0$' "a script runs to its end"
grep -q 'Everywhere' "$D/keys.txt"; verdict $? "and takes pictures on its way"
grep -q '^ > print("é")$' "$D/done.txt"; verdict $? "of what was typed, in UTF-8"
printf 'wait idle\nkey Nowhere\n' >"$D/s"
start 80x24 "QUANTSCOPE_SCRIPT=$D/s $fake; echo status \$?"; see '^status 1$' "a wrong line ends it"
see '/s:2: no key is called "Nowhere"' "and is named"

echo "1..$n"
exit $bad
