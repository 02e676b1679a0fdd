/** TLS sessions that are resumed (S-01, S-02, S-03, S-05): Node checks nothing again, so that we have to. */
import { randomBytes } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authenticator, type AuthenticatorOptions, createAuthenticator, TrustStore } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { connectHttp2, handshake, json } from '../support/clients.js'
import { bare, type Listener, serveHttp2, serveHttps, serveOwnHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const versions = ['TLSv1.2', 'TLSv1.3'] as const
const HOUR = 3_600_000

function make(options: Partial<AuthenticatorOptions> = {}) {
  const lines: string[] = []
  const trust = TrustStore.parse(pki.trust)
  const auth = createAuthenticator({ trust, revocation: 'none', log: (line) => lines.push(line), ...options })
  return { auth, lines }
}

/** The same ticket keys, so that sessions survive from one server to the other, as between cluster workers. */
const shared = () => ({ ticketKeys: randomBytes(48) })

/** A server an application made itself, of which others resume the sessions: tlsServerOptions() would not let them. */
const serveShared = (auth: Authenticator, keys: { ticketKeys: Buffer }) =>
  serveOwnHttps(bare(auth), { requestCert: true, rejectUnauthorized: false, ca: [], ...keys })

for (const version of versions) {
  describe(`a resumed ${version} session`, () => {
    test('is served under the identity of its first handshake while that is valid', async () => {
      const { auth } = make()
      const port = await serveHttps(auth, bare(auth))
      const first = await handshake(port, { client: alice, version })
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect([first.reused, second.reused]).toEqual([false, true])
      expect([first.answer, second.answer].map(json)).toEqual([
        { cn: 'alice', via: 'tls' },
        { cn: 'alice', via: 'tls' },
      ])
    })

    test('S-02: is refused once its certificate has expired', async () => {
      let now = Date.now()
      const { auth } = make({ now: () => now })
      const port = await serveHttps(auth, bare(auth))
      const first = await handshake(port, { client: alice, version })
      expect(first.answer.status).toBe(200)
      now += 25 * HOUR
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect(second.reused).toBe(true)
      expect({ status: second.answer.status, ...json(second.answer) }).toEqual({
        status: 403,
        code: 'ERR_CLIENT_CERT_EXPIRED',
      })
    })

    test('S-02: is refused after its CA left the trust store', async () => {
      const other = await createTestPki({ name: 'Other' })
      let anchors = pki.trust
      const store = TrustStore.assemble({
        label: 'memory',
        load: () => TrustStore.parse(anchors).current(),
      })
      const { auth } = make({ trust: store })
      const port = await serveHttps(auth, bare(auth))
      const first = await handshake(port, { client: alice, version })
      expect(first.answer.status).toBe(200)
      anchors = other.trust
      expect(store.reload()).toMatchObject({ ok: true })
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect(second.reused).toBe(true)
      expect(json(second.answer)).toEqual({ code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' })
    })

    test('S-01: that never carried a certificate is absent, whatever socket.authorized says', async () => {
      const { auth, lines } = make()
      const authorized: [boolean, boolean][] = []
      const listener = bare(auth) as (request: { socket: TLSSocket }, response: unknown) => void
      const spying = ((request: { socket: TLSSocket }, response: unknown) => {
        authorized.push([request.socket.isSessionReused(), request.socket.authorized])
        listener(request, response)
      }) as Listener
      const port = await serveHttps(auth, spying)
      const first = await handshake(port, { version })
      const second = await handshake(port, { version, session: first.session })
      expect(authorized.map(([reused]) => reused)).toEqual([false, true])
      for (const { answer } of [first, second]) {
        expect(answer.status).toBe(401)
        expect(json(answer)).toEqual({ code: 'ERR_CLIENT_CERT_ABSENT' })
      }
      // Broken set-up 10.
      expect(lines[1]).toBe(
        `mtls-identity ERR_CLIENT_CERT_ABSENT: resumed session that never carried a certificate (socket.authorized is wrong here on Node ${process.versions.node}) — the client must reconnect with its certificate`,
      )
    })

    test('S-01: that was made where no certificate is asked for brings none to a server that demands one', async () => {
      const { auth } = make()
      const keys = shared()
      const lax = await serveOwnHttps(bare(auth), { requestCert: false, ...keys })
      const strict = await serveOwnHttps(bare(auth), {
        requestCert: true,
        rejectUnauthorized: true,
        ca: pki.trust,
        ...keys,
      })
      const first = await handshake(lax, { version })
      const second = await handshake(strict, { version, session: first.session }).catch(() => undefined)
      // Newer lines refuse it themselves, in the handshake.
      if (second !== undefined && second.answer.status !== 0) {
        expect(second.answer.status).toBe(401)
        expect(json(second.answer)).toEqual({ code: 'ERR_CLIENT_CERT_ABSENT' })
      }
    })

    test('S-03: made at a server with another CA is decided about by the trust of the one it is resumed at', async () => {
      const other = await createTestPki({ name: 'Other' })
      const stranger = await other.issue()
      const keys = shared()
      // Node 24.21.0 and 26.8 lose what a client of their own ca sends after its certificate.
      const there = make({ trust: other.trust, intermediates: other.intermediate.certificate.pem })
      const here = make()
      const first = await handshake(
        await serveOwnHttps(bare(there.auth), { requestCert: true, ca: other.trust, ...keys }),
        {
          client: stranger,
          version,
        },
      )
      expect(first.answer.status).toBe(200)
      const port = await serveOwnHttps(bare(here.auth), { requestCert: true, ca: pki.trust, ...keys })
      const second = await handshake(port, { client: stranger, version, session: first.session })
      expect(second.reused).toBe(true)
      expect({ status: second.answer.status, ...json(second.answer) }).toEqual({
        status: 403,
        code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
      })
    })

    test('S-05: that lost the intermediates is completed from the configured ones', async () => {
      const keys = shared()
      const first = await handshake(await serveShared(make().auth, keys), { client: alice, version })
      const elsewhere = make({ intermediates: pki.intermediate.certificate.pem })
      const port = await serveShared(elsewhere.auth, keys)
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect(second.reused).toBe(true)
      expect(json(second.answer)).toMatchObject({ cn: 'alice' })
    })

    test('S-05: that lost the intermediates is completed from those of a path verified before', async () => {
      const keys = shared()
      const first = await handshake(await serveShared(make().auth, keys), { client: alice, version })
      const elsewhere = make()
      const port = await serveShared(elsewhere.auth, keys)
      const bob = await pki.issue({ subject: 'CN=bob' })
      expect((await handshake(port, { client: bob, version })).answer.status).toBe(200)
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect(second.reused).toBe(true)
      expect(json(second.answer)).toMatchObject({ cn: 'alice' })
    })

    test('S-05: that lost the intermediates is refused where there are neither, and the line says so (broken set-up 11)', async () => {
      const keys = shared()
      const first = await handshake(await serveShared(make().auth, keys), { client: alice, version })
      const { auth, lines } = make()
      const port = await serveShared(auth, keys)
      const second = await handshake(port, { client: alice, version, session: first.session })
      expect(second.reused).toBe(true)
      expect({ status: second.answer.status, ...json(second.answer) }).toEqual({
        status: 403,
        code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
      })
      expect(lines).toEqual([
        `mtls-identity ERR_CLIENT_CERT_UNKNOWN_ISSUER: on a resumed session: intermediate "CN=Lab Intermediate CA" is sent only in full handshakes — intermediates: './intermediates.pem'`,
      ])
    })

    test('S-05: remembered intermediates complete paths, they do not shorten them: a stranger under the same name is refused', async () => {
      const { auth } = make()
      const port = await serveHttps(auth, bare(auth))
      expect((await handshake(port, { client: alice, version })).answer.status).toBe(200)
      const mallory = await pki.issue({ signWith: alice })
      const leafOnly = { tls: { cert: mallory.certificate.pem, key: mallory.tls.key } }
      const { answer } = await handshake(port, { client: leafOnly, version })
      expect(json(answer)).toEqual({ code: 'ERR_CLIENT_CERT_SIGNATURE' })
    })
  })
}

describe('a resumed session under HTTP/2', () => {
  test('S-02: is refused once its certificate has expired, and served before', async () => {
    let now = Date.now()
    const { auth } = make({ now: () => now })
    const port = await serveHttp2(auth, bare(auth))
    const first = await connectHttp2(port, { client: alice })
    expect((await first.get()).status).toBe(200)
    const second = await connectHttp2(port, { client: alice, session: first.ticket() })
    expect(second.reused).toBe(true)
    expect((await second.get()).status).toBe(200)
    now += 25 * HOUR
    const third = await connectHttp2(port, { client: alice, session: first.ticket() })
    expect(third.reused).toBe(true)
    for (const { get } of [second, third]) {
      const answer = await get()
      expect({ status: answer.status, ...json(answer) }).toEqual({ status: 403, code: 'ERR_CLIENT_CERT_EXPIRED' })
    }
  })

  test('S-01: that never carried a certificate is absent', async () => {
    const { auth } = make()
    const port = await serveHttp2(auth, bare(auth))
    const first = await connectHttp2(port)
    expect((await first.get()).status).toBe(401)
    const second = await connectHttp2(port, { session: first.ticket() })
    expect(second.reused).toBe(true)
    expect((await second.get()).status).toBe(401)
  })
})
