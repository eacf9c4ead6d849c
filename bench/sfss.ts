/** sfss on the store, as ratios to nginx: small files by path, read in random order, and posted as forms under new paths. */
import type { CairnServer } from './cairn-process.ts'
import { type Contender, wrkContender } from './contenders.ts'
import { bareWithNames } from './names.ts'
import { putAll } from './put-files.ts'
import { NGINX_SMALL, nginxSmall, SMALL_BYTES, SMALL_FILES } from './small-files.ts'
import type { Stage } from './stage.ts'
import { writeGetScript, writeScript } from './wrk.ts'

const FOLDERS = 200

export async function sfssContenders(stage: Stage): Promise<Contender[]> {
  const [nginx, server] = [await stage.nginx(), await stage.cairn('batch')]
  const paths = Array.from({ length: SMALL_FILES }, (_, at) => `/file?path=small/${at % FOLDERS}/${at}.bin`)
  await putAll(server.sfssUrl, paths, Buffer.alloc(SMALL_BYTES, 1))
  const get = writeGetScript(stage.directory, 'sfss-get', paths)
  const sfss = { url: server.sfssUrl, pid: server.pid }
  return [
    nginxSmall(stage, nginx),
    {
      ...wrkContender({ name: '1 KiB GET, sfss', server: sfss, script: () => get }),
      ...{ against: NGINX_SMALL, passMark: 0.5, goal: 0.6 },
    },
    { ...sfssPost(stage, server), against: NGINX_SMALL, passMark: 0.2, goal: 0.25 },
    await bareWithNames(stage),
  ]
}

function sfssPost({ directory }: Stage, server: CairnServer): Pick<Contender, 'name' | 'pid' | 'run'> {
  let round = 0
  return wrkContender({
    name: '1 KiB POST, sfss, sync batch',
    server: { url: server.sfssUrl, pid: server.pid },
    script: () => writePostScript(directory, `new/${round++}`),
  })
}

/** A script that posts forms with the field `upload_file`, each under a path of its own. */
function writePostScript(directory: string, root: string): string {
  const boundary = 'bench-9b1c0de5f00d'
  const start = `--${boundary}\\r\\nContent-Disposition: form-data; name=\\"upload_file\\"; filename=\\"b\\"\\r\\nContent-Type: application/octet-stream\\r\\n\\r\\n`
  return writeScript(
    directory,
    'sfss-post',
    `math.randomseed(os.time())
local noise = {}
for i = 1, ${SMALL_BYTES} - 16 do noise[i] = string.char(math.random(0, 255)) end
local rest, format, sent = table.concat(noise) .. "\\r\\n--${boundary}--\\r\\n", string.format, 0
local start = "${start}"
local head = " HTTP/1.1\\r\\nHost: bench\\r\\nContent-Type: multipart/form-data; boundary=${boundary}\\r\\nContent-Length: " .. #start + 16 + #rest .. "\\r\\n\\r\\n" .. start
request = function()
  sent = sent + 1
  return "POST /files?path=${root}/" .. sent % ${FOLDERS} .. "/" .. sent .. head .. format("%016d", sent) .. rest
end
`,
  )
}
