/** `advertise`: the names of the trusted CAs in the CertificateRequest, and nothing that OpenSSL could trust. */
import https from 'node:https'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createAuthenticator, TrustStore, tlsServerOptions } from '../../src/index.js'
import { maximumNameOctets, nameList } from '../../src/server/ca-names.js'
import { createTestAuthority, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { Certificate } from '../../src/x509/certificate.js'
import { parsePem } from '../../src/x509/pem.js'
import { get, handshake, json, requireTool, run } from '../support/clients.js'
import { thrownBy } from '../support/pki.js'
import { bare, type Listener, listen, serveHttps, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const make = (options: object = {}) =>
  createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, ...options })

const namesIn = (list: readonly string[]) =>
  list.flatMap((pem) => parsePem(pem).map(({ bytes }) => `${Certificate.parse(bytes).subject}`))

describe('the list', () => {
  test('has every name once: of anchors, of configured intermediates, of the issuers of pins', async () => {
    const device = await (await createTestAuthority({ subject: 'CN=Device CA' })).issue()
    const store = TrustStore.parse(pki.trust + pki.trust)
    const auth = make({
      trust: { clients: store, again: pki.trust, pinned: device.certificate.pem },
      intermediates: pki.intermediate.certificate.pem,
    })
    const { ca } = tlsServerOptions(auth, { key: 'k', cert: 'c', advertise: true })
    expect(namesIn(ca).sort()).toEqual(['CN=Device CA', 'CN=Lab Intermediate CA', 'CN=Lab Root CA'])
    expect(tlsServerOptions(auth, { key: 'k', cert: 'c' }).ca).toEqual([])
  })

  test('holds no key that anybody has: each is made of chance, anew', () => {
    const snapshot = TrustStore.parse(pki.trust).current()
    const [one, two] = [nameList(snapshot, undefined), nameList(snapshot, undefined)]
    expect(one[0]).not.toBe(two[0])
    const [{ bytes } = { bytes: new Uint8Array() }] = parsePem(one[0] ?? '')
    const certificate = Certificate.parse(bytes)
    expect(Buffer.from(certificate.publicKey.der)).not.toEqual(
      Buffer.from(Certificate.parse(pki.root.certificate.der).publicKey.der),
    )
    expect(certificate.extensions.basicConstraints).toBeUndefined()
  })
})

describe('a server that advertises', () => {
  const openssl = requireTool('openssl', 'version')

  openssl('names its CAs to a client of another make', async () => {
    const auth = make()
    const port = await serveHttps(auth, bare(auth), { advertise: true } as object)
    const { stdout } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`], { input: '' })
    expect(stdout).toMatch(/Acceptable client certificate CA names\s+CN ?= ?Lab Root CA/)
    const silent = await serveHttps(auth, bare(auth))
    const without = await run('openssl', ['s_client', '-connect', `127.0.0.1:${silent}`], { input: '' })
    expect(without.stdout).toMatch(/No client certificate CA names sent/)
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'decides as one that does not, over %s: OpenSSL authorises nobody, we whom we trust, and intermediates are not lost',
    async (version) => {
      const auth = make()
      const seen: boolean[] = []
      const listener = ((request: { socket: TLSSocket }, response: never) => {
        seen.push(request.socket.authorized)
        ;(bare(auth) as (...args: unknown[]) => void)(request, response)
      }) as Listener
      const port = await serveHttps(auth, listener, { advertise: true } as object)
      expect(json((await handshake(port, { client: alice, version })).answer)).toMatchObject({ cn: 'alice' })
      const direct = await pki.root.issue({ subject: 'CN=direct' })
      expect(json((await handshake(port, { client: direct, version })).answer)).toMatchObject({ cn: 'direct' })
      const stranger = await (await createTestPki({ name: 'Lab' })).issue()
      expect((await handshake(port, { client: stranger, version })).answer.status).toBe(403)
      expect(seen).toEqual([false, false, false])
    },
  )

  test('says in a refusal what it advertised', async () => {
    const lines: string[] = []
    const auth = make({ log: (line: string) => lines.push(line) })
    const port = await serveHttps(auth, bare(auth), { advertise: true } as object)
    expect((await get(port)).status).toBe(401)
    expect(lines[0]).toMatch(/advertised 1 CA \("CN=Lab Root CA"\)/)
  })
})

describe('what fits into a handshake', () => {
  /** Eight CAs whose names, with their lengths, have this many octets. */
  async function storeOf(octets: number): Promise<TrustStore> {
    const count = 8
    // A name of one common name beyond 255 octets: SEQUENCE, SET, SEQUENCE and UTF8String of 4 octets each, and an identifier of 5.
    const overhead = 2 + 4 * 4 + 5
    let left = octets
    const pems: string[] = []
    for (let i = count; i > 0; i--) {
      const own = i === 1 ? left : Math.floor(octets / count)
      left -= own
      const name = `${i}`.padEnd(own - overhead, 'x')
      pems.push((await createTestAuthority({ subject: [{ CN: [name] }] })).certificate.pem)
    }
    return TrustStore.parse(pems.join(''))
  }

  test(`${maximumNameOctets} octets of names do, in TLS 1.2 and 1.3`, async () => {
    const auth = make({ trust: await storeOf(maximumNameOctets) })
    const server = https.createServer(
      tlsServerOptions(auth, { ...(await serverTls), advertise: true }),
      bare(auth) as never,
    )
    const port = await listen(server)
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect((await handshake(port, { client: alice, version })).answer.status).toBe(403)
    }
  })

  test('one more does not, and is refused before it makes every handshake fail', async () => {
    const auth = make({ trust: await storeOf(maximumNameOctets + 1) })
    expect(thrownBy(() => tlsServerOptions(auth, { key: 'k', cert: 'c', advertise: true }))).toBe(
      'ClientCertConfigError: advertise: the names of 8 CAs are 65429 octets, and a handshake has room for 65428 — leave advertise out: clients then choose a certificate themselves',
    )
    expect(tlsServerOptions(auth, { key: 'k', cert: 'c' }).ca).toEqual([])
  })
})
