-- SPDX-License-Identifier: GPL-3.0-or-later
-- Writes the manual page man/quantscope-lua.7 from lua/quantscope/help.lua:
--     lua5.4 lua/mkman.lua lua/quantscope/help.lua >man/quantscope-lua.7
-- tests/lua/t_doc.lua sees that the committed page is what this makes.

local help = assert(dofile(arg[1] or "lua/quantscope/help.lua"))

local function escape(s)
    s = s:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub('"', "\\(dq"):gsub("^[.']", "\\&%0"):gsub("\n([.'])", "\n\\&%1")
    return (s:gsub("|", "\\(ba"):gsub("~", "\\(ti"):gsub("%^", "\\(ha"))
end

local out = {}
local function put(...) out[#out + 1] = table.concat {...} end

put '.\\" Made by lua/mkman.lua from lua/quantscope/help.lua; do not edit.'
put '.TH QUANTSCOPE\\-LUA 7 "" quantscope "quantscope manual"'
put '.SH NAME'
put 'quantscope\\-lua \\- scripting quantization with require \\(dqquantscope\\(dq'
put '.SH SYNOPSIS'
put '.nf'
put 'local qs = require \\(dqquantscope\\(dq'
put '.fi'
put '.SH DESCRIPTION'
put 'The same functions serve the console of'
put '.BR quantscope (1),'
put 'where qs and help are predefined, scripts under quantscope run, and a stock lua5.4.'
put '.PP'
put(escape(help.conventions))
for _, group in ipairs(help.groups) do
    put('.SH ', group[1]:upper())
    for _, e in ipairs(group[2]) do
        put '.TP'
        put('.B ', escape(e[2]))
        put(escape(e[3]))
        for _, key in ipairs {"errors", "cost", "source"} do
            if e[key] then
                put '.br'
                put('.IR ', key:sub(1, 1):upper(), key:sub(2), ':')
                put(escape(e[key]))
            end
        end
    end
end
put '.SH SEE ALSO'
put '.BR quantscope (1),'
put '.BR lua5.4 (1)'
io.write(table.concat(out, "\n"), "\n")
