/** Clients that people have, against every framework: the right identity, 401 without a certificate, 403 with a wrong one. */
import { beforeAll, describe, expect } from '@jest/globals'
import { createAuthenticator } from '../../src/index.js'
import { createTestPki, type TestCredential } from '../../src/testing.js'
import { fileOf, filesOf, parseAnswer, requireTool, run } from '../support/clients.js'
import { frameworks, serveHttp2, serveHttps, serverTls } from '../support/servers.js'

type Files = { cert: string; key: string } | undefined
interface Outcome {
  status: number
  body: string
}

let alice: TestCredential
let stranger: TestCredential
let trust: string
let serverCertificate: string
beforeAll(async () => {
  const pki = await createTestPki({ name: 'Lab' })
  trust = pki.trust
  alice = await pki.issue({ subject: 'CN=alice,O=Lab' })
  stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=alice,O=Lab' })
  // The server's own chain: its intermediate is an anchor for these clients.
  serverCertificate = fileOf((await serverTls).cert)
})

const authenticator = () => createAuthenticator({ trust, revocation: 'none', log: false })

async function curl(port: number, files: Files, ...options: string[]): Promise<Outcome> {
  const client = files === undefined ? [] : ['--cert', files.cert, '--key', files.key]
  const server = ['--cacert', serverCertificate, '-w', '\n%{http_code}']
  const { stdout, stderr } = await run('curl', ['-sS', ...server, ...client, ...options, `https://localhost:${port}/`])
  if (stderr !== '') throw new Error(stderr)
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) }
}

async function openssl(port: number, files: Files, ...options: string[]): Promise<Outcome> {
  const client = files === undefined ? [] : ['-cert', files.cert, '-cert_chain', files.cert, '-key', files.key]
  const args = ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-CAfile', serverCertificate]
  const input = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const { stdout } = await run('openssl', [...args, '-ign_eof', '-partial_chain', ...client, ...options], { input })
  return parseAnswer(stdout)
}

const httpClient = `
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.verify_flags |= 0x80000  # the server's intermediate is an anchor here
if sys.argv[3]: context.load_cert_chain(sys.argv[3], sys.argv[4])
connection = http.client.HTTPSConnection("localhost", int(sys.argv[1]), context=context)
connection.request("GET", "/")
response = connection.getresponse()
print(response.status, response.read().decode())
`

const requests = `
import requests, sys, urllib3
urllib3.disable_warnings()
response = requests.get("https://localhost:" + sys.argv[1] + "/", verify=False, cert=(sys.argv[3], sys.argv[4]) if sys.argv[3] else None)
print(response.status_code, response.text)
`

const python = (program: string) => async (port: number, files: Files) => {
  const args = ['-c', program, String(port), serverCertificate, files?.cert ?? '', files?.key ?? '']
  const { stdout, stderr } = await run('/usr/bin/python3', args)
  if (stdout === '') throw new Error(stderr)
  return { status: Number(stdout.slice(0, 3)), body: stdout.slice(4) }
}

const clients = [
  { name: 'curl', test: requireTool('curl', '--version'), ask: (port: number, files: Files) => curl(port, files) },
  {
    name: 'curl over TLS 1.2',
    test: requireTool('curl', '--version'),
    ask: (port: number, files: Files) => curl(port, files, '--tls-max', '1.2'),
  },
  {
    name: 'openssl s_client',
    test: requireTool('openssl', 'version'),
    ask: (port: number, files: Files) => openssl(port, files),
  },
  {
    name: 'openssl s_client over TLS 1.2',
    test: requireTool('openssl', 'version'),
    ask: (port: number, files: Files) => openssl(port, files, '-tls1_2'),
  },
  {
    name: 'Python http.client',
    test: requireTool('/usr/bin/python3', '-c', 'import ssl, http.client'),
    ask: python(httpClient),
  },
  { name: 'Python requests', test: requireTool('/usr/bin/python3', '-c', 'import requests'), ask: python(requests) },
]

for (const { name, test, ask } of clients) {
  describe(`${name} reaches`, () => {
    for (const framework of frameworks) {
      test(`${framework.name}: 200 as itself, 401 without a certificate, 403 with a stranger's of the same name`, async () => {
        const port = await serveHttps(
          authenticator(),
          framework.listener({ mounts: [{ authenticator: authenticator() }] }),
        )
        const [own, none, wrong] = await Promise.all([
          ask(port, filesOf(alice)),
          ask(port, undefined),
          ask(port, filesOf(stranger)),
        ])
        expect(own.status).toBe(200)
        expect(JSON.parse(own.body)).toEqual({ cn: 'alice' })
        expect([none.status, wrong.status]).toEqual([401, 403])
        expect(none.body + wrong.body).not.toContain('alice')
      })
    }
  })
}

describe('curl over HTTP/2 reaches', () => {
  const test = requireTool('/bin/sh', '-c', 'curl --version | grep -qw HTTP2')
  for (const framework of frameworks.filter(({ isKoa }) => isKoa)) {
    test(`${framework.name}: 200 as itself, 401 without a certificate, 403 with a stranger's`, async () => {
      const auth = authenticator()
      const port = await serveHttp2(auth, framework.listener({ mounts: [{ authenticator: auth }] }))
      const http2 = ['--http2', '-w', ' HTTP/%{http_version}\n%{http_code}']
      const [own, none, wrong] = await Promise.all([
        curl(port, filesOf(alice), ...http2),
        curl(port, undefined, ...http2),
        curl(port, filesOf(stranger), ...http2),
      ])
      expect(own).toEqual({ status: 200, body: '{"cn":"alice"} HTTP/2' })
      expect([none.status, wrong.status]).toEqual([401, 403])
    })
  }
})
