/**
 * "Why is my client certificate empty, or refused?": each set-up is built as people build it, and the operator's line says what is wrong.
 * The numbers are those of the list of broken set-ups.
 */
import http from 'node:http'
import https from 'node:https'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type AuthenticatorOptions, createAuthenticator, rules } from '../../src/index.js'
import { createTestAuthority, createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { fileOf, get, getPlain, handshake, requireTool, run } from '../support/clients.js'
import { bare, folder, listen, serveHttp, serveHttps, serveOwnHttps, serverTls } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Corp' })
  alice = await pki.issue()
})

function make(options: Partial<AuthenticatorOptions> = {}) {
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: (line) => lines.push(line.replace(/^mtls-identity /, '')),
    ...options,
  })
  return { auth, lines }
}

const leafOnly = ({ certificate, tls }: TestCredential) => ({ tls: { key: tls.key, cert: certificate.pem } })

/** The line for a client of a server that is set up as it should be. */
async function lineFor(client: { tls: { cert: string; key: string } }, options: Partial<AuthenticatorOptions> = {}) {
  const { auth, lines } = make(options)
  const { status } = await get(await serveHttps(auth, bare(auth)), client)
  expect(status).toBe(403)
  expect(lines).toHaveLength(1)
  return lines[0] as string
}

describe('nothing arrives', () => {
  test('1: the server never asks for a certificate', async () => {
    const { auth, lines } = make()
    expect((await get(await serveOwnHttps(bare(auth), {}), alice)).status).toBe(401)
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: this server never asks for a certificate (requestCert is false) — create it with https.createServer(tlsServerOptions(auth, { key, cert }), app)',
    ])
  })

  test('2: plain HTTP', async () => {
    const { auth, lines } = make()
    expect((await getPlain(await serveHttp(bare(auth)))).status).toBe(401)
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: request came over plain HTTP, which carries no certificate — listen with https.createServer(…), or in tests request(httpsServer).cert(…).key(…)',
    ])
  })

  test('4: the server trusts the public roots, which is warned about once for each server', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined as never)
    try {
      const { auth } = make()
      const port = await serveOwnHttps(bare(auth), { requestCert: true, rejectUnauthorized: false })
      expect((await get(port, alice)).status).toBe(200)
      expect((await get(port, alice)).status).toBe(200)
      await get(await serveHttps(auth, bare(auth)), alice)
      await get(await serveOwnHttps(bare(auth), { requestCert: true, rejectUnauthorized: false, ca: [] }), alice)
      expect(emitWarning.mock.calls).toEqual([
        [
          'the TLS server trusts the public roots (ca not set) — ca: [] and let trust: decide',
          { type: 'MtlsIdentityWarning', code: 'MTLS_PUBLIC_ROOTS' },
        ],
      ])
    } finally {
      emitWarning.mockRestore()
    }
  })

  test('5: the client sends none', async () => {
    const { auth, lines } = make()
    const port = await serveHttps(auth, bare(auth))
    await get(port, undefined, { headers: { 'user-agent': 'node' } })
    await handshake(port, { version: 'TLSv1.2' })
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: we asked, the client ("node", TLSv1.3) sent none — Node fetch needs dispatcher: new Agent({ connect: { cert, key } }); axios: httpsAgent inside the config object; curl: --cert and --key',
      'ERR_CLIENT_CERT_ABSENT: we asked, the client (TLSv1.2) sent none — Node fetch needs dispatcher: new Agent({ connect: { cert, key } }); axios: httpsAgent inside the config object; curl: --cert and --key',
    ])
  })

  test('5: fetch ignores the agent of node:https', async () => {
    const { auth, lines } = make()
    const port = await serveHttps(auth, bare(auth))
    const agent = new https.Agent({ ...alice.tls })
    const program = `process.emitWarning = () => {}
      fetch('https://localhost:${port}/', { agent: new (require('node:https').Agent)(${JSON.stringify({ ...agent.options })}) })
        .then((response) => console.log(response.status))`
    const { stdout } = await run(process.execPath, ['-e', `process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; ${program}`])
    expect(stdout).toBe('401\n')
    expect(lines[0]).toMatch(
      /^ERR_CLIENT_CERT_ABSENT: we asked, the client \("node", TLSv1.3\) sent none — Node fetch needs dispatcher/,
    )
  })

  test('6: the client’s issuer is not among the advertised ones', async () => {
    const { auth, lines } = make()
    const ca = [pki.trust, pki.intermediate.certificate.pem]
    const port = await serveOwnHttps(bare(auth), { requestCert: true, rejectUnauthorized: false, ca: pki.trust })
    const two = await serveOwnHttps(bare(auth), {
      requestCert: true,
      rejectUnauthorized: false,
      ca: ca.map((pem) => Buffer.from(pem)),
    })
    await get(port)
    await get(two)
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: we asked and advertised 1 CA ("CN=Corp Root CA"); the client sent none — clients pick only certificates under an advertised CA: leave advertise out (ca: []), or add its CA to trust',
      'ERR_CLIENT_CERT_ABSENT: we asked and advertised 2 CAs ("CN=Corp Root CA", "CN=Corp Intermediate CA"); the client sent none — clients pick only certificates under an advertised CA: leave advertise out (ca: []), or add its CA to trust',
    ])
  })

  test('7: a CORS preflight', async () => {
    const { auth, lines } = make()
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'PUT' }
    const { status } = await get(await serveHttps(auth, bare(auth)), undefined, { method: 'OPTIONS', headers })
    expect(status).toBe(401)
    expect(lines[0]).toMatch(
      /^ERR_CLIENT_CERT_ABSENT: on a CORS preflight \(Origin "https:\/\/app\.example"\), for which browsers send no certificate — mount cors\(\) before clientCert\(\)/,
    )
  })

  test('8: a health probe', async () => {
    const { auth, lines } = make()
    const port = await serveHttps(auth, bare(auth))
    await get(port, undefined, { path: '/healthz?verbose', headers: { 'user-agent': 'kube-probe/1.31' } })
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: on GET "/healthz" from "kube-probe/1.31" — skip: r => r.url === "/healthz", or probe a second, plain port',
    ])
  })

  test('8: what the line says to write does skip the probe', async () => {
    const { frameworks } = await import('../support/servers.js')
    const { auth } = make()
    for (const { listener } of frameworks) {
      const plan = {
        mounts: [{ authenticator: auth, skip: (r: { url?: string | undefined }) => r.url === '/healthz' }],
      }
      const port = await serveHttps(auth, listener(plan))
      expect((await get(port, undefined, { path: '/healthz' })).status).toBe(200)
      expect((await get(port, undefined, { path: '/healthz/x' })).status).toBe(401)
    }
  })

  // 10 and 11 are in resumption.test.ts: they need sessions.

  test('12: behind a development server or any HTTP proxy that ended TLS', async () => {
    const { auth, lines } = make()
    const upstream = await serveHttp(bare(auth))
    const proxy = https.createServer(
      { ...(await serverTls), requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress }
        const onward = http.request(
          { host: '127.0.0.1', port: upstream, path: request.url, headers, agent: false },
          (answer) => {
            response.writeHead(answer.statusCode ?? 500)
            answer.pipe(response)
          },
        )
        request.pipe(onward)
      },
    )
    expect((await get(await listen(proxy), alice)).status).toBe(401)
    expect(lines).toEqual([
      'ERR_CLIENT_CERT_ABSENT: peer 127.0.0.1 is a proxy (X-Forwarded-For present) and TLS ended there — source: forwardedHeader({ … }), or TLS passthrough',
    ])
  })

  test('12: the same, where the proxy speaks TLS to us and has no certificate of its own', async () => {
    const { auth, lines } = make()
    await get(await serveHttps(auth, bare(auth)), undefined, { headers: { via: '1.1 proxy' } })
    expect(lines[0]).toMatch(/^ERR_CLIENT_CERT_ABSENT: peer 127\.0\.0\.1 is a proxy/)
  })
})

describe('the certificate and its CA', () => {
  test('14: the client sends the leaf only', async () => {
    expect(await lineFor(leafOnly(alice))).toBe(
      'ERR_CLIENT_CERT_UNKNOWN_ISSUER: issued by "CN=Corp Intermediate CA", which neither the client sent nor we have (its root "CN=Corp Root CA" is trusted) — client: cat client.pem issuing.pem; or intermediates: \'./issuing.pem\'',
    )
  })

  test('14: either remedy of the line helps', async () => {
    const { auth } = make({ intermediates: fileOf(pki.intermediate.certificate.pem) })
    expect((await get(await serveHttps(auth, bare(auth)), leafOnly(alice))).status).toBe(200)
    const other = make()
    expect((await get(await serveHttps(other.auth, bare(other.auth)), alice)).status).toBe(200)
    await auth.close()
  })

  test('15: trust holds the wrong CA', async () => {
    const clients = await (await createTestAuthority({ subject: 'CN=Acme Clients CA' })).issue()
    const file = fileOf((await createTestAuthority({ subject: 'CN=ISRG Root X1' })).certificate.pem)
    expect(await lineFor(clients, { trust: file, watch: false })).toBe(
      `ERR_CLIENT_CERT_UNKNOWN_ISSUER: issued by "CN=Acme Clients CA"; trust (${file}) holds only "CN=ISRG Root X1" — trust: is the CA of your clients, not of your server certificate`,
    )
    expect(file.startsWith(folder)).toBe(true)
  })

  test('15: trust holds many wrong ones: three are named, the others counted', async () => {
    const authorities = await Promise.all(
      Array.from({ length: 5 }, (_, i) => createTestAuthority({ subject: `CN=Root ${i}` })),
    )
    const clients = await (await createTestAuthority({ subject: 'CN=Acme Clients CA' })).issue()
    const trust = authorities.map(({ certificate }) => certificate.pem).join('')
    expect(await lineFor(clients, { trust })).toContain('holds only "CN=Root 0", "CN=Root 1", "CN=Root 2" and 2 more')
  })

  test('16: the CA was created again under its name', async () => {
    const former = await createTestAuthority({ subject: 'CN=My CA' })
    const again = await createTestAuthority({ subject: 'CN=My CA' })
    expect(await lineFor(await former.issue(), { trust: again.certificate.pem })).toMatch(
      /^ERR_CLIENT_CERT_SIGNATURE: "CN=My CA" is trusted but with another key \(client expects key id [0-9a-f]{4}…, trust has [0-9a-f]{4}…\) — the CA was re-created: re-issue the client, or trust both$/,
    )
    const { auth } = make({ trust: former.certificate.pem + again.certificate.pem })
    expect((await get(await serveHttps(auth, bare(auth)), await former.issue())).status).toBe(200)
  })

  test('17: a version 1 certificate', async () => {
    expect(await lineFor(await pki.issue({ version: 1 }))).toBe(
      'ERR_CLIENT_CERT_VERSION: this is an X.509 v1 certificate (openssl x509 -req without -extfile) — re-issue with extendedKeyUsage=clientAuth, see README "make a client certificate"',
    )
  })

  requireTool('openssl', 'version')('17: as openssl x509 -req makes it', async () => {
    const [rootKey, root] = [fileOf(pki.root.key.pem), fileOf(pki.trust)]
    const [key, request, made] = [`${folder}/17.key`, `${folder}/17.csr`, `${folder}/17.pem`]
    await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, '-subj', '/CN=first')
    await openssl(
      'x509',
      '-req',
      '-in',
      request,
      '-CA',
      root,
      '-CAkey',
      rootKey,
      '-set_serial',
      '7',
      '-days',
      '1',
      '-out',
      made,
    )
    expect(await lineFor(await credentialOf(made, key))).toMatch(
      /^ERR_CLIENT_CERT_VERSION: this is an X\.509 v1 certificate/,
    )
  })

  test('18: made for servers', async () => {
    expect(await lineFor(await pki.issue({ extendedKeyUsage: ['serverAuth'] }))).toBe(
      'ERR_CLIENT_CERT_KEY_USAGE: made for servers (EKU serverAuth), not clients; public CAs stopped issuing clientAuth in 2026 — use a private CA',
    )
  })

  test('19: no extendedKeyUsage at all, and the profile the line names', async () => {
    const client = await pki.issue({ extendedKeyUsage: false })
    expect(await lineFor(client)).toBe(
      'ERR_CLIENT_CERT_KEY_USAGE: no extendedKeyUsage (nginx and Azure accept this, we do not by default) — re-issue, or profile: { requireExtendedKeyUsage: false }',
    )
    const { auth } = make({ profile: { requireExtendedKeyUsage: false } })
    expect((await get(await serveHttps(auth, bare(auth)), client)).status).toBe(200)
  })

  requireTool('openssl', 'version')(
    '20: as openssl req -x509 makes it: a CA, used as a client; pinning exactly it helps',
    async () => {
      const [key, made] = [`${folder}/20.key`, `${folder}/20.pem`]
      await openssl(
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        key,
        '-out',
        made,
        '-subj',
        '/CN=device',
        '-days',
        '1',
      )
      const device = await credentialOf(made, key)
      expect(await lineFor(device)).toBe(
        "ERR_CLIENT_CERT_CA_AS_CLIENT: a CA certificate was used as a client (openssl req -x509 makes CA:TRUE) — issue a client certificate from it, or pin exactly this one: trust: { pinned: './device.pem' }",
      )
      const { auth } = make({ trust: { pinned: made }, watch: false })
      expect((await get(await serveHttps(auth, bare(auth)), device)).status).toBe(200)
      expect((await get(await serveHttps(auth, bare(auth)), alice)).status).toBe(403)
    },
  )

  test('20: a self-signed certificate that is no CA', async () => {
    const { createSelfSigned } = await import('../../src/testing.js')
    expect(await lineFor(await createSelfSigned({ subject: 'CN=device' }))).toMatch(
      /^ERR_CLIENT_CERT_UNKNOWN_ISSUER: "CN=device" signed its own certificate, which is not trusted — issue the client from a CA in trust, or pin exactly this one/,
    )
  })

  test('21: expired', async () => {
    const notAfter = new Date('2026-11-20T00:00:00Z')
    const client = await pki.issue({ subject: 'CN=alice', notBefore: new Date('2026-11-19T00:00:00Z'), notAfter })
    const now = () => notAfter.getTime() + (2 * 24 + 3) * 3_600_000
    const old = await createTestPki({ name: 'Corp', now: new Date('2026-11-19T12:00:00Z') })
    const own = await old.issue({ subject: 'CN=alice', notAfter })
    expect(await lineFor(own, { trust: old.trust, now })).toBe(
      'ERR_CLIENT_CERT_EXPIRED: "CN=alice" ended 2026-11-20T00:00:00Z, 2 d 3 h ago by this server\'s clock — renew it',
    )
    expect(client.fingerprint).not.toBe(own.fingerprint)
  })

  test('22: not yet valid', async () => {
    const notBefore = Math.floor(Date.now() / 1000) * 1000 + 310_000
    const client = await pki.issue({ notBefore: new Date(notBefore), notAfter: new Date(notBefore + 60_000) })
    const at = new Date(notBefore - 310_000)
    expect(await lineFor(client, { now: () => at.getTime() })).toBe(
      `ERR_CLIENT_CERT_NOT_YET_VALID: begins in 5 min 10 s by this server's clock (${at.toISOString().replace('.000Z', 'Z')}) — check NTP here and back-dating at the CA`,
    )
  })

  describe('23: weak', () => {
    async function refusedBy(client: TestCredential) {
      const { auth, lines } = make()
      const port = await serveHttps(auth, bare(auth), { ciphers: 'DEFAULT:@SECLEVEL=0' })
      const { answer } = await handshake(port, { client, ciphers: 'DEFAULT:@SECLEVEL=0', version: 'TLSv1.2' })
      expect(answer.status).toBe(403)
      return lines[0]
    }

    test('RSA of 1024 bits', async () => {
      expect(await refusedBy(await pki.issue({ keyAlgorithm: 'RSA-1024' }))).toBe(
        'ERR_CLIENT_CERT_WEAK_KEY: RSA 1024 bits, minimum is 2048 (profile.minimumRsaBits) — re-issue',
      )
    })

    test('SHA-1', async () => {
      expect(await refusedBy(await pki.issue({ hash: 'SHA-1' }))).toMatch(
        /^ERR_CLIENT_CERT_ALGORITHM: "CN=alice" is signed with /,
      )
    })
  })
})

describe('rules', () => {
  test('26: a subject in the order openssl prints', async () => {
    const client = await pki.issue({ subject: 'CN=alice,O=Acme,C=DE' })
    expect(await lineFor(client, { rules: rules.subject('C=DE,O=Acme,CN=alice') })).toBe(
      'ERR_CLIENT_CERT_RULE: subject("C=DE,O=Acme,CN=alice") did not hold; the certificate is that name in reverse — RFC 4514 writes "CN=alice,O=Acme,C=DE"',
    )
    const { auth } = make({ rules: rules.subject('CN=alice,O=Acme,C=DE') })
    expect((await get(await serveHttps(auth, bare(auth)), client)).status).toBe(200)
  })

  test('26: with the spaces openssl prints, and with S= as Windows does', async () => {
    const client = await pki.issue({ subject: 'CN=alice,O=Acme,ST=Bayern,C=DE' })
    for (const written of ['CN = alice, O = Acme, ST = Bayern, C = DE', 'CN=alice, O=Acme, S=Bayern, C=DE']) {
      const { auth } = make({ rules: rules.subject(written) })
      expect((await get(await serveHttps(auth, bare(auth)), client)).status).toBe(200)
    }
  })
})

test('every line is one line, names a fix after a dash, and is never sent to the client', async () => {
  const { auth, lines } = make()
  const port = await serveHttps(auth, bare(auth))
  const stranger = await createTestPki({ name: 'Other\r\nName' })
  const answers = [await get(port), await get(port, leafOnly(alice)), await get(port, await stranger.issue())]
  expect(lines).toHaveLength(3)
  for (const line of lines) {
    expect(line).toMatch(/^ERR_CLIENT_CERT_[A-Z_]+: [^\r\n]+ — [^\r\n]+$/)
    for (const { body } of answers) expect(body).not.toContain(line.split(': ')[1] as string)
  }
})

async function openssl(...args: string[]): Promise<void> {
  const { code, stderr } = await run('openssl', args)
  if (code !== 0) throw new Error(stderr)
}

async function credentialOf(certificate: string, key: string) {
  const { readFileSync } = await import('node:fs')
  return { tls: { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') } }
}
