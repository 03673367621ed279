# Draws the MLM loss of a run's metrics.jsonl in the terminal: each column is the mean of the steps that fall into it.
#
#   awk -f cluster/loss_curve.awk RUN/metrics.jsonl
#
# WIDTH and HEIGHT (-v) are in characters, 64 x 14 else.
function value(key,   at, rest) {
    at = index($0, "\"" key "\":")
    if (!at) return ""
    rest = substr($0, at + length(key) + 3)
    match(rest, /^ *-?[0-9.eE+-]+/)
    return RLENGTH > 0 ? substr(rest, 1, RLENGTH) + 0 : ""
}
{ y = value("mlm_loss"); x = value("step"); if (y != "" && x != "") { n++; step[n] = x; loss[n] = y } }
END {
    if (!n) { print "no steps were logged"; exit 1 }
    if (!WIDTH) WIDTH = 64
    if (!HEIGHT) HEIGHT = 14
    first = step[1]; span = step[n] - first; if (span <= 0) span = 1
    for (i = 1; i <= n; i++) { c = int((step[i] - first) / span * (WIDTH - 1)); sum[c] += loss[i]; count[c]++ }
    low = 1e30; high = -1e30
    for (c = 0; c < WIDTH; c++) if (count[c]) {
        mean[c] = sum[c] / count[c]
        if (mean[c] < low) low = mean[c]
        if (mean[c] > high) high = mean[c]
    }
    if (high - low < 0.01) high = low + 0.01
    print "MLM loss"
    for (r = HEIGHT - 1; r >= 0; r--) {
        line = ""
        for (c = 0; c < WIDTH; c++) line = line ((c in mean) && int((mean[c] - low) / (high - low) * (HEIGHT - 1) + 0.5) == r ? "*" : " ")
        sub(/ +$/, "", line)
        printf "%8.3f |%s\n", low + (high - low) * r / (HEIGHT - 1), line
    }
    line = ""; for (c = 0; c < WIDTH; c++) line = line "-"
    printf "%8s +%s\n", "step", line
    printf "%9s%-*d%*d\n", "", WIDTH / 2, first, WIDTH - int(WIDTH / 2) + 1, step[n]
}
