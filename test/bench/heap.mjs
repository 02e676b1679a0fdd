// What is remembered takes: measured in a process of its own, which can collect its garbage when told to.
import { fork } from 'node:child_process'
import { once } from 'node:events'

export async function heap() {
  const child = fork(new URL('./heap-process.mjs', import.meta.url), { execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`heap-process.mjs ended: ${signal ?? code}`)
  })
  const [rows] = await Promise.race([once(child, 'message'), ended])
  ended.catch(() => {})
  child.disconnect()
  console.log('\n### Heap, after garbage collection\n\n| | heap | beside it | target |\n|---|---:|---:|---|')
  for (const { name, heap, beside, most, unit } of rows) {
    const target = most === undefined ? '' : `≤ ${most} ${unit} ${heap <= most ? 'met' : 'MISSED'}`
    console.log(
      `| ${name} | ${heap.toFixed(unit === 'B' ? 0 : 1)} ${unit} | ${beside.toFixed(unit === 'B' ? 0 : 1)} ${unit} | ${target} |`,
    )
  }
}
