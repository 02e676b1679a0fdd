/** S-09: nobody sends a request before the handshake (RFC 8446 §2.3), as openssl sees it: Node’s sessions allow none of it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeAll, describe, expect } from '@jest/globals'
import { createAuthenticator } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { fileOf, filesOf, requireTool, run } from '../support/clients.js'
import { freePort } from '../support/free-port.js'
import { bare, serveHttps, serverTls } from '../support/servers.js'

const test = requireTool('openssl', 'version')
const request = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
})
let child: ChildProcess | undefined
afterEach(async () => {
  if (child === undefined || child.exitCode !== null) return
  child.kill()
  await once(child, 'exit')
})

/** What openssl says of its early data, when it comes back with the session of a first connection. */
async function comeBack(port: number): Promise<{ allowed: number; outcome: string | undefined; reused: boolean }> {
  const { cert, key } = filesOf(alice)
  const session = fileOf('', 'session')
  const connect = (...more: string[]) =>
    run(
      'openssl',
      [
        ...['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_3', '-servername', 'localhost', '-ign_eof'],
        ...['-cert', cert, '-key', key, ...more],
      ],
      { input: request },
    )
  await connect('-sess_out', session)
  const { stdout } = await connect('-sess_in', session, '-early_data', fileOf(request, 'http'))
  return {
    allowed: Math.max(0, ...[...stdout.matchAll(/Max Early Data: (\d+)/g)].map(([, octets]) => Number(octets))),
    outcome: /Early data was (\w+(?: \w+)?)/.exec(stdout)?.[1],
    reused: /^Reused, TLSv1\.3/m.test(stdout),
  }
}

describe('S-09: a client that resumes a session', () => {
  test('is offered no early data by a server of ours', async () => {
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const port = await serveHttps(auth, bare(auth))
    expect(await comeBack(port)).toEqual({ allowed: 0, outcome: 'not sent', reused: true })
  })

  test('is by a server that takes it: the twin of the test above', async () => {
    const { cert, key } = await serverTls
    const port = await freePort()
    const args = ['s_server', '-accept', `127.0.0.1:${port}`, '-tls1_3', '-early_data', '-max_early_data', '16384']
    const server = spawn('openssl', [...args, '-cert', fileOf(cert), '-key', fileOf(key)])
    child = server
    // It answers nothing: a request ends its connection.
    server.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (chunk.includes('Connection: close')) server.stdin.write('q\n')
    })
    await once(server.stdout, 'data')
    expect(await comeBack(port)).toMatchObject({ allowed: 16_384, outcome: 'accepted', reused: true })
  })
})
