/** S-06: what changes while a connection is open: time, trust, revocation. The next request on it is decided anew. */
import { writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator, type RevocationChecker, TrustStore } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Answer, connectHttp2, fileOf, json, keepAlive } from '../support/clients.js'
import { bare, type Listener, serveHttp2, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const HOUR = 3_600_000
const outcome = (answer: Answer) => ({ status: answer.status, ...json(answer) })

/** The same question on one connection of each protocol. */
const protocols = [
  {
    name: 'HTTP/1.1 keep-alive',
    open: async (auth: ReturnType<typeof createAuthenticator>, client: TestCredential) => {
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
    open: async (auth: ReturnType<typeof createAuthenticator>, client: TestCredential) => {
      const session = await connectHttp2(await serveHttp2(auth, bare(auth)), { client })
      return async () => outcome(await session.get())
    },
  },
]

for (const { name, open } of protocols) {
  describe(`on an open ${name} connection`, () => {
    test('S-06: a certificate is refused from the second after its notAfter', async () => {
      const notAfter = Math.floor(Date.now() / 1000) * 1000 + HOUR
      const client = await pki.issue({ notAfter: new Date(notAfter) })
      let now = Date.now()
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, now: () => now })
      const ask = await open(auth, client)
      expect(await ask()).toMatchObject({ status: 200, cn: 'alice' })
      now = notAfter + 999
      expect(await ask()).toMatchObject({ status: 200, cn: 'alice' })
      now = notAfter + 1000
      expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_EXPIRED' })
      now = notAfter
      expect(await ask()).toMatchObject({ status: 200, cn: 'alice' })
    })

    test('S-06: a certificate is refused when an issuer of its path ends before it', async () => {
      const end = Math.floor(Date.now() / 1000) * 1000 + HOUR
      const shortLived = await pki.root.issueAuthority({ notAfter: new Date(end) })
      const client = await shortLived.issue()
      let now = Date.now()
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, now: () => now })
      const ask = await open(auth, client)
      expect(await ask()).toMatchObject({ status: 200 })
      now = end + 1000
      expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_EXPIRED' })
    })

    test('S-06: a clock that was set back before notBefore refuses who was accepted', async () => {
      let now = Date.now()
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, now: () => now })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      now -= 2 * HOUR
      expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_NOT_YET_VALID' })
    })

    test('S-06: a trust store that was reloaded without the CA refuses, and admits again when it is back', async () => {
      const other = await createTestPki({ name: 'Other' })
      const file = fileOf(pki.trust)
      const store = TrustStore.load(file, { watch: false })
      const auth = createAuthenticator({ trust: store, revocation: 'none', log: false })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      writeFileSync(file, other.trust)
      store.reload()
      expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
      writeFileSync(file, pki.trust)
      store.reload()
      expect(await ask()).toMatchObject({ status: 200 })
    })

    test('S-06: a file of anchors that was replaced is noticed by itself', async () => {
      const other = await createTestPki({ name: 'Other' })
      const file = fileOf(pki.trust)
      const auth = createAuthenticator({ trust: file, revocation: 'none', log: false })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      writeFileSync(file, `${other.trust}\n`)
      const until = Date.now() + 4_000
      let last = await ask()
      while (last.status === 200 && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        last = await ask()
      }
      expect(last).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
      await auth.close()
    })

    test('S-06: an intermediate that was configured and is withdrawn does not live on in a remembered acceptance', async () => {
      const withdrawn = await createTestPki({ name: 'Withdrawn' })
      const intermediates = TrustStore.parse(pki.intermediate.certificate.pem)
      let current = intermediates.current()
      const store = TrustStore.assemble({ label: 'memory', load: () => current })
      const seen: boolean[] = []
      const auth = createAuthenticator({
        trust: pki.trust,
        intermediates: store,
        revocation: 'none',
        log: false,
        onDecision: (_, { remembered }) => seen.push(remembered),
      })
      const ask = await open(auth, { ...alice, tls: { ...alice.tls, cert: alice.certificate.pem } })
      await ask()
      await ask()
      current = TrustStore.parse(withdrawn.intermediate.certificate.pem).current()
      store.reload()
      await ask()
      expect(seen).toEqual([false, true, false])
    })

    test('S-06: a certificate that was revoked is refused when the checker says that it knows more', async () => {
      let revoked = false
      let generation = 1
      const checker: RevocationChecker = {
        name: 'list',
        get generation() {
          return generation
        },
        check: () => (revoked ? { status: 'revoked', depth: 0 } : { status: 'good' }),
      }
      const auth = createAuthenticator({ trust: pki.trust, revocation: checker, log: false })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      revoked = true
      generation++
      expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_REVOKED' })
    })

    test('S-06: an answer of the revocation checker holds until its validUntil and no longer', async () => {
      let now = Date.now()
      let status: 'good' | 'unknown' = 'good'
      const checker: RevocationChecker = {
        name: 'list',
        check: (_, at) =>
          status === 'good'
            ? { status, validUntil: new Date(at.getTime() + 60_000) }
            : { status, reason: 'the list ended' },
      }
      const auth = createAuthenticator({ trust: pki.trust, revocation: checker, log: false, now: () => now })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      status = 'unknown'
      now += 60_000
      expect(await ask()).toMatchObject({ status: 200 })
      now += 1
      expect(await ask()).toEqual({ status: 503, code: 'ERR_CLIENT_CERT_REVOCATION_UNKNOWN' })
    })

    test('an authenticator that was closed refuses', async () => {
      const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
      const ask = await open(auth, alice)
      expect(await ask()).toMatchObject({ status: 200 })
      await auth.close()
      expect(await ask()).toEqual({ status: 503, code: 'ERR_CLIENT_CERT_NOT_READY' })
    })
  })
}

test('S-06: a certificate that really lives for three seconds is served, and then no more, on the same connections', async () => {
  const notAfter = Math.floor(Date.now() / 1000) * 1000 + 2_000
  const client = await pki.issue({ notAfter: new Date(notAfter) })
  const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
  const asks = await Promise.all(protocols.map(({ open }) => open(auth, client)))
  for (const ask of asks) expect(await ask()).toMatchObject({ status: 200 })
  await new Promise((resolve) => setTimeout(resolve, notAfter + 1_050 - Date.now()))
  for (const ask of asks) expect(await ask()).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_EXPIRED' })
})

describe('H-15: streams of one HTTP/2 connection', () => {
  test('a hundred at once are all decided, each with its own answer', async () => {
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const listener = bare(auth) as unknown as Listener
    const { get } = await connectHttp2(await serveHttp2(auth, listener), { client: alice })
    const answers = await Promise.all(Array.from({ length: 100 }, () => get()))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(
      new Set(['200 {"cn":"alice","via":"tls"}']),
    )
  })
})
