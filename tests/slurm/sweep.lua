-- SPDX-License-Identifier: GPL-3.0-or-later
-- Twelve cells for tests/slurm/check-slurm. The third task of an array stands still as long as the file named by HOLD is there.
local function held(path)
  local f = path and os.getenv "SLURM_ARRAY_TASK_ID" == "3" and io.open(path)
  if f then f:close() end
  return f
end

return qs.sweep {
  name = "slurm",
  grid = { bits = {2, 3, 4}, init = {"lsq", "mse"}, seed = qs.range(1, 2) },
  run = function(cell)
    while held(os.getenv "HOLD") do os.execute "sleep 0.1" end
    local t = qs.randn{2000, seed = cell.seed}
    local q = qs.init(cell.init, t, "int" .. cell.bits)
    return { sqnr = q:error(t).sqnr_db, step = q.step }
  end,
}
