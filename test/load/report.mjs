/** Prints what came of it: as text, or all of it as JSON. */
export function report({ latencies, usage, ...figures }, asJson) {
  const milliseconds = Object.fromEntries(
    Object.entries(latencies).map(([name, values]) => [name, percentiles(values)]),
  )
  const memory = usage.map(({ at, rss, heapUsed, connections, phase }) => ({
    seconds: Math.round(at),
    phase,
    rssMiB: mebi(rss),
    heapMiB: mebi(heapUsed),
    connections,
  }))
  if (asJson) return console.log(JSON.stringify({ ...figures, milliseconds, memory }, undefined, 2))

  const { connections, requests, wrong, wrongs, handshakes, reloads, responder, flood, heap } = figures
  const share = (usage.at(-1).cpuMicros - usage[0].cpuMicros) / 10_000 / (usage.at(-1).at - usage[0].at)
  const open = memory.filter(({ phase }) => phase !== 'ramp').map((each) => each.connections)
  console.log(`
| | |
|---|---|
| connections | ${connections.reached} of ${connections.wanted}${connections.reached < connections.wanted ? ` (${reasons(connections.failures)})` : ''}; ${Math.min(...open)} to ${Math.max(...open)} open at once while asking |
| seconds | ${figures.seconds}${flood === undefined ? '' : ` + ${figures.seconds} of flood`}, after ${figures.rampSeconds.toFixed(0)} to open them |
| answers | ${requests}, at ${figures.rate} a second |
| wrong | ${wrong} |
| p50, p99 of valid clients | ${milliseconds.quiet.p50} ms, ${milliseconds.quiet.p99} ms |
| p50, p99 of all | ${milliseconds.all.p50} ms, ${milliseconds.all.p99} ms, some of which wait for the responder that fails |
| handshakes | ${handshakes.full} full, ${handshakes.resumed} resumed; ${handshakes.closed} connections closed by the server, ${handshakes.renewed} by clients |
| reloads | ${Object.entries(reloads)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')} |
| OCSP | ${responder.answers} answers, ${responder.failures} failures |
| server | ${share.toFixed(0)} % of one processor; heap after collection ${mebi(heap.atStart)} MiB when all were open, ${mebi(heap.atEnd)} MiB in the end |`)
  if (flood !== undefined) {
    const ratio = milliseconds.flood.p99 / milliseconds.quiet.p99
    console.log(
      `| flood | ${flood.distinct} garbage certificates, ${flood.repeated} repeated refusals, ${flood.admitted} let in, ${flood.failed} failed |
| p99 of valid clients | ${milliseconds.quiet.p99} ms quiet, ${milliseconds.flood.p99} ms in the flood: × ${ratio.toFixed(2)} (≤ 3 ${ratio <= 3 ? 'met' : 'MISSED'}) |`,
    )
  }
  console.log('\n| server after | connections | RSS MiB | heap MiB |\n|---:|---:|---:|---:|')
  const step = Math.max(1, Math.floor((memory.length - 1) / 10))
  for (const [i, { seconds, connections, rssMiB, heapMiB }] of memory.entries()) {
    if (i % step === 0 || i === memory.length - 1)
      console.log(`| ${seconds} s | ${connections} | ${rssMiB} | ${heapMiB} |`)
  }
  console.log('\n| clients | answers |\n|---|---|')
  for (const [name, verdicts] of Object.entries(figures.verdicts)) {
    const counts = Object.entries(verdicts).map(
      ([verdict, count]) => `${verdict.replace('ERR_CLIENT_CERT_', '')} ${count}`,
    )
    console.log(`| ${name} | ${counts.join(', ')} |`)
  }
  if (wrong > 0) console.log(`\nWRONG: ${wrong}, the first of them:\n${wrongs.join('\n')}`)
}

const mebi = (octets) => Math.round(octets / 1_048_576)

function percentiles(values) {
  const sorted = Float64Array.from(values).sort()
  const at = (share) => Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2))
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** `EMFILE 12, ECONNRESET 3` */
function reasons(failures) {
  const sum = {}
  for (const each of failures) for (const [code, count] of Object.entries(each)) sum[code] = (sum[code] ?? 0) + count
  const texts = Object.entries(sum).map(([code, count]) => `${code} ${count}`)
  return texts.length === 0 ? 'open files: ulimit -Hn' : texts.join(', ')
}
