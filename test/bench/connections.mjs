// Clients with certificates, and servers in another process: connections kept open, and connections of one request.
import tls from 'node:tls'
import { createTestPki } from 'mtls-identity/testing'
import { createClients, toPem } from './fixtures.mjs'
import { connectionEach, keptAlive } from './load.mjs'
import { compare, startServers } from './paired.mjs'

const requestWith = (connection) =>
  Buffer.from(
    `GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: ${connection}\r\n\r\n`,
  )

/** Has `use` measure servers of one framework, and ends them. */
async function withServers(framework, variants, clients, use) {
  const server = await (await createTestPki()).server()
  const servers = await startServers('./request-server.mjs', {
    framework,
    variants,
    tls: server.tls,
    trust: clients.rootPem,
    intermediate: clients.intermediate.pem,
  })
  try {
    await use(servers)
  } finally {
    servers.stop()
  }
}

/** How the n-th client connects: with its certificate and the intermediate, as clients should. */
const connecting =
  ({ leaves, intermediate, key }) =>
  (port, n, session) =>
    tls.connect({ ...loopback, port, session, key, cert: toPem(leaves[n]) + intermediate.pem })
const loopback = { host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.3' }

/** What a request costs the server, whose client it knows. */
export async function keptOpen(rounds = 61) {
  const clients = await createClients(16)
  const connect = connecting(clients)
  const targets = { clientCert: { within: 1, rate: 0.97 } }
  const kinds = ['no-op', 'socket.authorized', 'getPeerCertificate()', 'clientCert', 'clientCert, watched']
  const frameworks = [
    ['Express 5', 'express', [...kinds, 'client-certificate-auth']],
    ['Koa 3', 'koa', kinds],
  ]
  for (const [title, framework, names] of frameworks) {
    const variants = { ...Object.fromEntries(names.map((name) => [name, name])), 'no-op again': 'no-op' }
    await withServers(framework, variants, clients, async ({ ports, cpu }) => {
      const loaded = Object.entries(ports).map(([name, port]) => {
        let n = 0
        const run = keptAlive(() => connect(port, n++), [requestWith('keep-alive')])
        return { name, run, ...targets[name] }
      })
      await compare(`${title}, 16 connections kept open`, loaded, { cpu, count: 1_000, rounds })
    })
  }
}

const handshakes = {
  'no-op': 'no-op',
  'no-op again': 'no-op',
  'OpenSSL validates': 'socket.authorized',
  'getPeerX509Certificate()': 'getPeerX509Certificate()',
  clientCert: 'clientCert',
}

/** What a full handshake, a request and the end of the connection cost, with a client that was never seen; its issuers were. */
export async function fullHandshakes(rounds = 61) {
  const [count, warmUps] = [25, 5]
  const clients = await createClients(count * (rounds + warmUps))
  const connect = connecting(clients)
  const seen = 'clientCert, client seen before'
  await withServers('express', { ...handshakes, [seen]: 'clientCert' }, clients, async ({ ports, cpu }) => {
    const variants = Object.entries(ports).map(([name, port]) => {
      const from = (round) => (name === seen ? 0 : round * count)
      const run = (_, round) => connectionEach((n) => connect(port, from(round) + n), requestWith('close'), count)
      return { name, run, ...(name === 'clientCert' ? { percent: 10 } : {}) }
    })
    const title = 'A full TLS 1.3 handshake, one request, close'
    await compare(title, variants, { cpu, count, rounds, warmUps })
  })
}

/** The same with a session that is resumed. */
export async function resumedHandshakes(rounds = 61) {
  const clients = await createClients(1)
  const connect = connecting(clients)
  await withServers('express', handshakes, clients, async ({ ports, cpu }) => {
    const variants = []
    for (const [name, port] of Object.entries(ports)) {
      let session
      const first = () =>
        connect(port, 0).on('session', (given) => {
          session = given
        })
      await connectionEach(first, requestWith('close'), 1)
      const resume = () =>
        connect(port, 0, session).on('secureConnect', function check() {
          if (!this.isSessionReused()) this.destroy(new Error(`${name}: the session was not resumed`))
        })
      const run = (count) => connectionEach(resume, requestWith('close'), count)
      variants.push({ name, run, ...(name === 'clientCert' ? { percent: 2 } : {}) })
    }
    await compare('A resumed TLS 1.3 handshake, one request, close', variants, { cpu, count: 50, rounds })
  })
}
