// Requests with a client's certificate in a header, over connections kept open.
import net from 'node:net'
import { createChain, toPem } from './fixtures.mjs'
import { keptAlive } from './load.mjs'
import { compare, startServers } from './paired.mjs'

export async function throughput(rounds = 61) {
  const { leaves, intermediate, rootPem } = await createChain('RSA-2048', 200)
  const requests = leaves.map((leaf) =>
    Buffer.from(
      `GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nX-SSL-Client-Cert: ${encodeURIComponent(toPem(leaf))}\r\n\r\n`,
    ),
  )
  const servers = await startServers('./throughput-server.mjs', { trust: rootPem, intermediates: toPem(intermediate) })
  try {
    const variants = Object.entries(servers.ports).map(([name, port]) => ({
      name,
      run: keptAlive(() => net.connect(port, '127.0.0.1'), requests),
      ...(name === 'clientCert' ? { rate: 0.95 } : {}),
    }))
    await compare('Express 5, 200 clients behind nginx', variants, { cpu: servers.cpu, count: 1_000, rounds })
  } finally {
    await servers.stop()
  }
}
