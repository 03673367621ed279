# Turns Perl's documentation (.pod) into plain text: one paragraph per line, one blank line between documents (a =head1 section is one).
#
#   LC_ALL=C awk -f cluster/pod_to_text.awk perlintro.pod perlsyn.pod > text
#
# Kept: ordinary paragraphs and the prose of list items. Dropped: code (indented paragraphs), headings, =begin and =for blocks, index
# entries, and paragraphs that hardly hold words. Format: perldoc perlpodspec.
function flush_paragraph(   text) {
    text = paragraph; paragraph = ""
    if (text == "") return
    if (text ~ /^=/) command(text)
    else if (in_pod && !skipping && text !~ /^[ \t]/) say(text)
}

function command(text,   name) {
    name = text; sub(/^=/, "", name); sub(/[ \t].*/, "", name)
    if (name == "cut") { in_pod = 0; return }
    in_pod = 1
    if (name == "begin") skipping = 1
    else if (name == "end") skipping = 0
    else if (skipping || name == "for" || name == "encoding") return
    else if (name == "head1") end_document()
    else if (name == "item") { sub(/^=item[ \t]*([*]|[0-9]+[.]?)?[ \t]*/, "", text); say(text) }
}

function end_document() { if (said) print ""; said = 0 }

# Prose has six words at least, and three quarters of it are letters and spaces.
function say(text,   letters, words) {
    text = plain(text)
    gsub(/[ \t]+/, " ", text); sub(/^ /, "", text); sub(/ $/, "", text)
    words = split(text, unused, " ")
    letters = text; gsub(/[^A-Za-z ]/, "", letters)
    if (words < 6 || length(letters) < 0.75 * length(text)) return
    print text; said = 1
}

# Formatting codes nest: B<see I<this>>, C<< a > b >>. One pass with a stack; level 0 is the text itself.
function plain(text,   level, at, end, run, whole) {
    level = 0; body[0] = ""
    while (1) {
        at = match(text, /[A-Z]</)
        end = level ? index(text, closer[level]) : 0
        if (at && (!end || at < end)) {
            body[level] = body[level] substr(text, 1, at - 1)
            level++; code[level] = substr(text, at, 1); body[level] = ""
            text = substr(text, at + 1)
            match(text, /^<+/); run = RLENGTH
            if (run > 1 && substr(text, run + 1, 1) == " ") closer[level] = " " substr(">>>>>>>>>>", 1, run)
            else { run = 1; closer[level] = ">" }
            text = substr(text, run + 1)
        } else if (end) {
            whole = body[level] substr(text, 1, end - 1)
            text = substr(text, end + length(closer[level]))
            whole = meaning(code[level], whole); level--
            body[level] = body[level] whole
        } else break
    }
    whole = text
    for (; level > 0; level--) whole = body[level] whole
    return body[0] whole
}

function meaning(letter, inside) {
    if (letter == "X" || letter == "Z") return ""
    if (letter == "E") return (inside in entity) ? entity[inside] : ""
    if (letter == "L") return link(inside)
    return inside
}

function link(inside,   slash) {
    if (inside ~ /[|]/) { sub(/[|].*/, "", inside); return inside }
    if (inside ~ /^[a-z]+:[^:]/) return inside
    slash = index(inside, "/")
    if (!slash) return inside
    if (slash == 1) inside = substr(inside, 2)
    else inside = substr(inside, slash + 1) " in " substr(inside, 1, slash - 1)
    gsub(/"/, "", inside)
    return inside
}

BEGIN { entity["lt"] = "<"; entity["gt"] = ">"; entity["verbar"] = "|"; entity["sol"] = "/"; entity["eacute"] = "e"; entity["amp"] = "&" }
FNR == 1 { flush_paragraph(); end_document(); in_pod = 0; skipping = 0 }
{ sub(/\r$/, "") }
/^[ \t]*$/ { flush_paragraph(); next }
{ paragraph = (paragraph == "") ? $0 : paragraph " " $0 }
END { flush_paragraph(); end_document() }
