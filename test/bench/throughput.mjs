// Requests per second through Express, loaded over 16 connections, round by round.
import { fork } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { createChain } from './fixtures.mjs'

const connections = 16
const rounds = 7
const roundMillis = 500

export async function throughput() {
  const { leaves, intermediate, rootPem } = await createChain('RSA-2048', 200)
  const toPem = (der) => new X509Certificate(der).toString()
  const requests = leaves.map((leaf) =>
    Buffer.from(
      `GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nX-SSL-Client-Cert: ${encodeURIComponent(toPem(leaf))}\r\n\r\n`,
    ),
  )
  const server = fork(new URL('./throughput-server.mjs', import.meta.url))
  try {
    server.send({ trust: rootPem, intermediates: toPem(intermediate) })
    const [ports] = await once(server, 'message')
    const rates = Object.fromEntries(Object.keys(ports).map((name) => [name, []]))
    const cpu = async () => {
      server.send('cpu')
      const [{ user, system }] = await once(server, 'message')
      return user + system
    }
    for (let round = -2; round < rounds; round++) {
      for (const [name, port] of Object.entries(ports)) {
        const before = await cpu()
        const { rate, done } = await load(port, requests)
        if (round >= 0) rates[name].push({ rate, micros: ((await cpu()) - before) / done })
      }
    }
    print(rates)
  } finally {
    server.kill()
  }
}

async function load(port, requests) {
  let done = 0
  let next = 0
  const sockets = Array.from({ length: connections }, () => {
    const socket = net.connect(port, '127.0.0.1')
    const send = () => socket.write(requests[next++ % requests.length])
    socket.on('connect', send)
    socket.on('data', (chunk) => {
      if (!chunk.includes('200 OK')) throw new Error(chunk.toString())
      done++
      send()
    })
    return socket
  })
  const started = performance.now()
  await new Promise((resolve) => setTimeout(resolve, roundMillis))
  const rate = (done * 1_000) / (performance.now() - started)
  const answered = done
  for (const socket of sockets) socket.destroy()
  return { rate, done: answered }
}

function print(rates) {
  const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
  const noop = rates['no-op']
  console.log('\n### Express, 200 clients behind nginx\n')
  console.log('| middleware | requests/s | of no-op | CPU µs/request | over no-op |\n|---|---:|---:|---:|---:|')
  for (const [name, rounds] of Object.entries(rates)) {
    const ratio = median(rounds.map(({ rate }, i) => rate / noop[i].rate))
    const micros = median(rounds.map((round) => round.micros))
    const over = median(rounds.map((round, i) => round.micros - noop[i].micros))
    const target = name === 'mtls-identity' ? ` (≥ 0.95 ${ratio >= 0.95 ? 'met' : 'MISSED'})` : ''
    const rate = median(rounds.map((round) => round.rate)).toFixed(0)
    console.log(`| ${name} | ${rate} | ${ratio.toFixed(2)}${target} | ${micros.toFixed(1)} | ${over.toFixed(1)} |`)
  }
}
