-- SPDX-License-Identifier: GPL-3.0-or-later
-- What is pleasanter in Lua about sweeps.

local M = {}

-- {a, a+step, ...} up to b. Each value is a + i*step, not a running sum; b is taken where rounding alone misses it.
function M.range(a, b, step)
    step = step or 1
    for _, v in ipairs {a, b, step} do
        if type(v) ~= "number" then error("qs.range(from, to[, step]): numbers expected", 2) end
    end
    local n = (b - a) / step
    if step == 0 or n ~= n or n > 1e7 then
        return nil, ("EARG: qs.range: %g to %g with step %g is no list of at most 10 million values"):format(a, b, step), "EARG"
    end
    local out = {}
    for i = 0, math.floor(n + 1e-9) do out[#out + 1] = a + i * step end
    return out
end

return M
