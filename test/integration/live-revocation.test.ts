/** S-06: revocation data that changes while a connection is open. The next request on it is decided anew. */
import { renameSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authenticator, createAuthenticator, crl, denyList, firstDefinite } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Answer, connectHttp2, fileOf, handshake, json, keepAlive } from '../support/clients.js'
import { startResponder } from '../support/responder.js'
import { closing, crlAt, heardWarnings } from '../support/revocation.js'
import { bare, serveHttp2, serveHttps } from '../support/servers.js'

heardWarnings()
const [minute, hour] = [60_000, 3_600_000]
let pki: TestPki
let alice: TestCredential
let bob: TestCredential
let root: string
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  bob = await pki.issue({ subject: 'CN=bob' })
  root = (await pki.root.crl()).pem
})

const crlOf = async (revoked: TestCredential[] = [], age = hour) => {
  const serials = revoked.map((serialNumber) => ({ serialNumber }))
  return (await pki.crl({ revoked: serials, thisUpdate: new Date(Date.now() - age) })).pem + root
}
const outcome = (answer: Answer) => ({ status: answer.status, ...json(answer) })
const served = { status: 200 }
const refused = { status: 403, code: 'ERR_CLIENT_CERT_REVOKED' }
const unknown = { status: 503, code: 'ERR_CLIENT_CERT_REVOCATION_UNKNOWN' }

const protecting = (revocation: Parameters<typeof createAuthenticator>[0]['revocation'], now = Date.now) =>
  closing(createAuthenticator({ trust: pki.trust, revocation: revocation ?? 'none', log: false, now }))

/** One connection of each protocol, asked over and over. */
const protocols = [
  {
    name: 'HTTP/1.1 keep-alive',
    open: async (auth: Authenticator, client: TestCredential) => {
      const ask = keepAlive(await serveHttps(auth, bare(auth)), client)
      let connection: number | undefined
      return async () => {
        const answer = await ask()
        connection ??= answer.connection
        expect(answer.connection).toBe(connection)
        return outcome(answer)
      }
    },
  },
  {
    name: 'HTTP/2',
    open: async (auth: Authenticator, client: TestCredential) => {
      const session = await connectHttp2(await serveHttp2(auth, bare(auth)), { client })
      return async () => outcome(await session.get())
    },
  },
]
/** Asks until it is not what it was. */
async function next(ask: () => Promise<unknown>, former: object): Promise<unknown> {
  const end = Date.now() + 4_500
  for (;;) {
    const answer = await ask()
    const isFormer = Object.entries(former).every(([key, value]) => (answer as Record<string, unknown>)[key] === value)
    if (!isFormer || Date.now() > end) return answer
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

for (const { name, open } of protocols) {
  describe(`on an open ${name} connection`, () => {
    test('a CRL file that changes counts within its two seconds, for those who were admitted', async () => {
      const file = fileOf(await crlOf(), 'crl')
      const checker = closing(crl({ files: file }))
      const auth = protecting(checker)
      const [ofAlice, ofBob] = [await open(auth, alice), await open(auth, bob)]
      expect([await ofAlice(), await ofBob()]).toMatchObject([served, served])
      // Half of it first: what was there holds.
      const newer = await crlOf([alice], minute)
      writeFileSync(file, newer.slice(0, 500))
      await new Promise((resolve) => setTimeout(resolve, 2_200))
      expect([await ofAlice(), await ofBob()]).toMatchObject([served, served])
      writeFileSync(`${file}.new`, newer)
      renameSync(`${file}.new`, file)
      expect(await next(ofAlice, served)).toEqual(refused)
      expect(await ofBob()).toMatchObject(served)
    }, 15_000)

    test('a CRL that is replaced by an older one unsays nothing', async () => {
      const [old, newer] = [await crlOf([], 2 * hour), await crlOf([alice])]
      const file = fileOf(newer, 'crl')
      const checker = closing(crl({ files: file }))
      const auth = protecting(checker)
      const [ofAlice, ofBob] = [await open(auth, alice), await open(auth, bob)]
      expect([await ofAlice(), await ofBob()]).toMatchObject([refused, served])
      const { generation } = checker
      writeFileSync(file, old)
      const end = Date.now() + 4_500
      while (checker.generation === generation && Date.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 50))
      expect(checker.generation).toBeGreaterThan(generation)
      expect([await ofAlice(), await ofBob()]).toMatchObject([refused, served])
    }, 15_000)

    test('a CRL that ends refuses from the millisecond after its nextUpdate', async () => {
      const clock = { now: Date.now() }
      const now = () => clock.now
      const end = Math.floor(clock.now / 1000) * 1000 + hour
      const file = fileOf((await pki.crl({ nextUpdate: new Date(end) })).pem + root, 'crl')
      const ask = await open(protecting(closing(crl({ files: file, watch: false, now })), now), alice)
      expect(await ask()).toMatchObject(served)
      clock.now = end
      expect(await ask()).toMatchObject(served)
      clock.now = end + 1
      expect(await ask()).toEqual(unknown)
      clock.now = end
      expect(await ask()).toMatchObject(served)
    })

    test('a line in the deny list counts on the next request, and its removal, too', async () => {
      const list = closing(denyList({ entries: [] }))
      const auth = protecting(firstDefinite(list, closing(crl({ files: fileOf(await crlOf(), 'crl'), watch: false }))))
      const [ofAlice, ofBob] = [await open(auth, alice), await open(auth, bob)]
      expect([await ofAlice(), await ofBob()]).toMatchObject([served, served])
      list.replace([alice.fingerprint])
      expect([await ofAlice(), await ofBob()]).toMatchObject([refused, served])
      list.replace([])
      expect([await ofAlice(), await ofBob()]).toMatchObject([served, served])
    })

    test('a checker that is closed refuses those it had admitted', async () => {
      const checker = closing(crl({ files: fileOf(await crlOf(), 'crl'), watch: false }))
      const ask = await open(protecting(checker), alice)
      expect(await ask()).toMatchObject(served)
      checker.close()
      expect(await ask()).toEqual(unknown)
    })
  })
}

test('R-02: over TLS, a certificate nobody trusts sends nobody anywhere; one that is trusted does', async () => {
  const documents = new Map<string, Uint8Array>()
  const server = await startResponder({ answer: ({ path }) => documents.get(path) ?? Buffer.alloc(0) })
  const points = [crlAt(`${server.url}/issuing.crl`)]
  documents.set('/issuing.crl', Buffer.from(await crlOf()))
  const checker = closing(
    crl({
      fromCertificate: true,
      leafOnly: true,
      allowHosts: [`127.0.0.1:${server.port}`],
      allowPrivateNetworks: ['127.0.0.0/8'],
    }),
  )
  const auth = protecting(checker)
  const port = await serveHttps(auth, bare(auth))
  const stranger = await (await createTestPki({ name: 'Stranger' })).issue({ extensions: points })
  const { answer } = await handshake(port, { client: stranger })
  expect(outcome(answer)).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
  expect(server.accepted).toBe(0)
  const friend = await pki.issue({ subject: 'CN=friend', extensions: points })
  expect(outcome((await handshake(port, { client: friend })).answer)).toMatchObject({ ...served, cn: 'friend' })
  expect(server.accepted).toBe(1)
})
