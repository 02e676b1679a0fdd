// Run by heap.mjs with --expose-gc.
import { setImmediate } from 'node:timers/promises'
import { createAuthenticator } from 'mtls-identity'
import { clientCert } from 'mtls-identity/express'
import { claimOf } from '../../dist/esm/core/claims.js'
import { internals } from '../../dist/esm/core/contract.js'
import { Ledger } from '../../dist/esm/ledger/ledger.js'
import { createClients } from './fixtures.mjs'

const certificates = 10_000
const sockets = 100_000
const requests = 1_000_000
const megabyte = 2 ** 20

const clients = await createClients(certificates)
const newAuthenticator = () =>
  createAuthenticator({
    trust: clients.rootPem,
    intermediates: clients.intermediate.pem,
    revocation: 'none',
    watch: false,
  })

/** What lives: octets on V8's heap, and those that buffers keep beside it. */
async function living() {
  for (let n = 0; n < 3; n++) {
    globalThis.gc()
    await setImmediate()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, beside: arrayBuffers }
}

/** What more lives after `work`, in `of` parts. What it returns is kept as long. */
async function growth(work, of) {
  const before = await living()
  const kept = await work()
  const after = await living()
  return { kept, heap: (after.heap - before.heap) / of, beside: (after.beside - before.beside) / of }
}

const accepted = (decision) => {
  if (decision.outcome !== 'accepted') throw decision.error
  return decision.identity
}

/** Copies, as Node makes them for each connection. */
const presentedBy = (n) => ({
  certificate: Buffer.from(clients.leaves[n % certificates]),
  intermediates: [Buffer.from(clients.intermediate.der)],
  via: 'tls',
})

async function identities() {
  const authenticator = newAuthenticator()
  accepted(await authenticator.authenticateChain(presentedBy(0)))
  const remembered = await growth(async () => {
    for (let n = 0; n < certificates; n++) accepted(await authenticator.authenticateChain(presentedBy(n)))
  }, certificates)
  const read = await growth(async () => {
    for (let n = 0; n < certificates; n++) {
      JSON.stringify(accepted(await authenticator.authenticateChain(presentedBy(n))))
    }
  }, certificates)
  const recorded = await growth(() => recordsOf(authenticator), certificates)
  const [heap, beside] = [remembered.heap - recorded.heap, remembered.beside - recorded.beside]
  return [
    { name: 'a client that was accepted', ...remembered, unit: 'B' },
    { name: '… of it, the remembered identity', heap, beside, most: 1024, unit: 'B' },
    { name: '… of it, its record in the ledger', ...recorded, unit: 'B' },
    { name: 'more, once all of it was read', ...read, unit: 'B' },
  ]
}

/** A ledger beside the authenticator's own, of the same clients. */
async function recordsOf(authenticator) {
  const ledger = new Ledger(authenticator[internals].settings)
  for (let n = 0; n < certificates; n++) {
    const identity = accepted(await authenticator.authenticateChain(presentedBy(n)))
    ledger.see({ identity, path: claimOf(identity).path, decidedAt: Date.now(), sighting: undefined }, Date.now(), true)
  }
  return ledger
}

/** What a source asks of a connection. */
class Socket {
  encrypted = true
  #n

  constructor(n) {
    this.#n = n
  }

  getPeerX509Certificate() {
    const { certificate, intermediates } = presentedBy(this.#n)
    return { raw: certificate, issuerCertificate: { raw: intermediates[0], issuerCertificate: undefined } }
  }

  getProtocol() {
    return 'TLSv1.3'
  }

  isSessionReused() {
    return false
  }
}

async function connections() {
  const authenticator = newAuthenticator()
  const open = Array.from({ length: sockets }, (_, n) => new Socket(n))
  const grown = await growth(async () => {
    for (const socket of open) accepted(await authenticator.authenticateSocket(socket))
  }, megabyte)
  const name = `${sockets / 1000},000 connections of ${certificates / 1000},000 clients`
  return [{ name, ...grown, most: 60, unit: 'MB' }]
}

async function manyRequests() {
  const middleware = clientCert({ authenticator: newAuthenticator() })
  const socket = new Socket(0)
  const response = {}
  const ask = (count) => async () => {
    for (let n = 0; n < count; n++) {
      const error = await new Promise((resolve) => middleware({ socket, headers: {} }, response, resolve))
      if (error !== undefined) throw error
    }
  }
  await ask(100_000)()
  const grown = await growth(ask(requests), megabyte)
  // An octet a request would be a leak.
  return [{ name: 'more, after a million requests', ...grown, most: 0.5, unit: 'MB' }]
}

process.once('message', async () => {
  const rows = [...(await identities()), ...(await connections()), ...(await manyRequests())]
  process.send(rows.map(({ name, heap, beside, most, unit }) => ({ name, heap, beside, most, unit })))
})
process.on('disconnect', () => process.exit())
