/** Shadow mode over real sockets: what the report of a candidate CA says before the old one goes, and that no client notices. */
import { once } from 'node:events'
import tls from 'node:tls'
import { beforeAll, expect, test } from '@jest/globals'
import {
  type Authenticator,
  type CandidateReport,
  createAuthenticator,
  rules,
  tlsServerOptions,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Answer, connectHttp2, filesOf, get, keepAlive, requireTool, run } from '../support/clients.js'
import { afterThisTest, bare, frameworks, listen, serveHttp2, serveHttps, serverTls } from '../support/servers.js'

let former: TestPki
let future: TestPki
let stranger: TestCredential
beforeAll(async () => {
  former = await createTestPki({ name: 'Former' })
  future = await createTestPki({ name: 'Future' })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=mallory' })
})

const express = frameworks[0] as (typeof frameworks)[number]

function make(options: Partial<Parameters<typeof createAuthenticator>[0]> = {}): Authenticator {
  const auth = createAuthenticator({
    trust: { former: former.trust, future: future.trust },
    revocation: 'none',
    log: false,
    ...options,
  })
  afterThisTest(() => auth.close())
  return auth
}

async function settled(auth: Authenticator): Promise<CandidateReport> {
  const report = () => auth.candidateReport() as CandidateReport
  for (let i = 0; i < 400 && report().pending > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(report().pending).toBe(0)
  return report()
}

const seen = ({ status, headers, body }: Answer) => {
  const { date: _, ...fields } = headers
  return { status, headers: fields, body }
}

test('a candidate with the new CA alone: the report lists exactly the clients who would be refused', async () => {
  const old = await Promise.all(['a', 'b', 'c'].map((name) => former.issue({ subject: `CN=${name}` })))
  const renewed = await Promise.all(['d', 'e'].map((name) => future.issue({ subject: `CN=${name}` })))
  const answers: unknown[] = []
  for (const candidate of [undefined, { trust: { future: future.trust } }]) {
    const auth = make(candidate === undefined ? {} : { candidate })
    const port = await serveHttps(auth, express.listener({ mounts: [{ authenticator: auth }] }))
    const given: unknown[] = []
    for (const client of [...old, ...renewed, stranger, undefined]) {
      const ask = keepAlive(port, client)
      for (let i = 0; i < 3; i++) given.push(seen(await ask()))
    }
    answers.push(given)
    if (candidate === undefined) continue
    const report = await settled(auth)
    expect(report).toMatchObject({
      decided: 18,
      same: 9,
      skipped: 0,
      differences: { 'would-refuse': { ERR_CLIENT_CERT_UNKNOWN_ISSUER: 9 }, 'would-admit': {} },
    })
    expect(report.identities.map(({ fingerprint }) => fingerprint).sort()).toEqual(
      old.map(({ fingerprint }) => fingerprint).sort(),
    )
    for (const identity of report.identities)
      expect(identity).toMatchObject({ kind: 'would-refuse', anchor: 'former', count: 3 })
  }
  // Answers are the same to the last header field, whether or not a candidate looks on.
  expect(answers[1]).toEqual(answers[0])
})

requireTool('curl', '--version')('over HTTP/2, and with the system’s curl, too', async () => {
  const alice = await former.issue()
  const auth = make({ candidate: { trust: future.trust } })
  const session = await connectHttp2(await serveHttp2(auth, bare(auth)), { client: alice })
  expect([(await session.get()).status, (await session.get()).status]).toEqual([200, 200])
  expect((await settled(auth)).identities).toMatchObject([{ fingerprint: alice.fingerprint, count: 2 }])

  const { cert, key } = filesOf(alice)
  const port = await serveHttps(auth, bare(auth))
  const { code } = await run('curl', [
    '--silent',
    '--insecure',
    '--cert',
    cert,
    '--key',
    key,
    `https://127.0.0.1:${port}/`,
  ])
  expect(code).toBe(0)
  expect((await settled(auth)).identities).toMatchObject([{ fingerprint: alice.fingerprint, count: 3 }])
})

test('on a connection without requests', async () => {
  const [alice, renewed] = [await former.issue(), await future.issue()]
  const auth = make({ candidate: { trust: future.trust } })
  const server = tls.createServer(tlsServerOptions(auth, await serverTls))
  const verdicts: string[] = []
  server.on('secureConnection', async (socket) => {
    verdicts.push((await auth.authenticateSocket(socket)).outcome)
    socket.end()
  })
  const port = await listen(server)
  for (const client of [alice, renewed]) {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...client.tls })
    socket.resume()
    await once(socket, 'close')
  }
  expect(verdicts).toEqual(['accepted', 'accepted'])
  expect(await settled(auth)).toMatchObject({ same: 1, identities: [{ fingerprint: alice.fingerprint, count: 1 }] })
})

test('an answer does not wait for a candidate that never answers, nor for one that takes its time', async () => {
  const alice = await former.issue()
  const hanging = { name: 'hanging', check: () => new Promise<never>(() => {}) }
  const slow = rules.custom('slow', () => new Promise((resolve) => setTimeout(resolve, 400, true)), { timeout: 60_000 })
  for (const candidate of [{ revocation: hanging }, { rules: slow }]) {
    const auth = make({ candidate })
    const port = await serveHttps(auth, express.listener({ mounts: [{ authenticator: auth }] }))
    expect((await get(port, alice)).status).toBe(200)
    expect(auth.candidateReport()).toMatchObject({ decided: 0, pending: 1 })
  }
})
