// What is remembered takes: measured in a process of its own, which can collect its garbage when told to.
import { startProcess } from './paired.mjs'

export async function heap() {
  const measuring = startProcess('./heap-process.mjs', { execArgv: ['--expose-gc'] })
  try {
    print(await measuring.ask('measure'))
  } finally {
    measuring.stop()
  }
}

function print(rows) {
  console.log('\n### Heap, after garbage collection\n\n| | heap | beside it | target |\n|---|---:|---:|---|')
  for (const { name, heap, beside, most, unit } of rows) {
    const target = most === undefined ? '' : `≤ ${most} ${unit} ${heap <= most ? 'met' : 'MISSED'}`
    const [onHeap, outside] = [heap, beside].map((value) => `${value.toFixed(unit === 'B' ? 0 : 1)} ${unit}`)
    console.log(`| ${name} | ${onHeap} | ${outside} | ${target} |`)
  }
}
