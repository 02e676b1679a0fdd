/** The CA of the clients is replaced, over real connections: what `report()` says on the way is what the operator goes by. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, expect, test } from '@jest/globals'
import { createAuthenticator, type IdentityEvent, tlsServerOptions } from '../../src/index.js'
import { superviseServer } from '../../src/server.js'
import { createTestPki, type TestCredential } from '../../src/testing.js'
import { get, keepAlive } from '../support/clients.js'
import { day } from '../support/pki.js'
import { afterThisTest, folder, frameworks, listen, serveHttps, serverTls } from '../support/servers.js'

const events: IdentityEvent[] = []
const hear = (event: unknown) => events.push(event as IdentityEvent)
afterEach(() => void unsubscribe('mtls-identity:identity', hear))

async function soon(isSo: () => unknown): Promise<void> {
  for (let attempt = 0; !(await isSo()); attempt++) {
    if (attempt === 100) throw new Error('nothing changed within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

test('the old CA is safe to remove when the last of its clients has renewed and been quiet for the window, and not before', async () => {
  const [old, young] = [await createTestPki({ name: 'Old' }), await createTestPki({ name: 'Young' })]
  const file = join(folder, 'clients-ca.pem')
  const write = (content: string) => {
    writeFileSync(`${file}.new`, content)
    renameSync(`${file}.new`, file)
  }
  write(old.trust)
  // Certificates are of today; the clock is the operator's patience.
  const clock = { ahead: 0 }
  const auth = createAuthenticator({
    trust: file,
    revocation: 'none',
    log: false,
    now: () => Date.now() + clock.ahead,
  })
  afterThisTest(() => auth.close())
  subscribe('mtls-identity:identity', hear)
  const [express] = frameworks
  const port = await serveHttps(auth, express?.listener({ mounts: [{ authenticator: auth }] }) as never)
  const longLived = { notAfter: new Date(Date.now() + 300 * day) }
  const names = ['one', 'two', 'three']
  const minute = 60_000
  const issued = (pki: typeof old, name: string) => {
    const notBefore = new Date(Date.now() - (pki === old ? 2 : 1) * minute)
    return pki.issue({ subject: `CN=${name}`, names: { dns: [`${name}.test`] }, notBefore, ...longLived })
  }
  const status = async (client: TestCredential) => (await get(port, client)).status
  const removable = () =>
    Object.fromEntries(
      auth.report().anchors.map(({ subject, safeToRemove, reason }) => [subject, safeToRemove || reason]),
    )

  // Everybody is on the old CA; the report lists them.
  const before = await Promise.all(names.map((name) => issued(old, name)))
  const [one, two, three] = before as [TestCredential, TestCredential, TestCredential]
  const connection = keepAlive(port, three)
  expect([await status(one), await status(two), (await connection()).status]).toEqual([200, 200, 200])
  expect(auth.report().certificates).toHaveLength(3)
  expect(removable()).toEqual({ 'CN=Old Root CA': 'seen' })

  // The new one is added. Nobody uses it yet, and it was not watched for long.
  const replacement = await issued(young, 'one')
  expect(await status(replacement)).toBe(403)
  clock.ahead += 40 * day
  write(old.trust + young.trust)
  await soon(async () => (await status(replacement)) === 200)
  expect(auth.report().unusedAnchors).toEqual([])
  expect(await status(two)).toBe(200)
  expect(removable()).toEqual({ 'CN=Old Root CA': 'seen', 'CN=Young Root CA': 'seen' })
  const oldAnchor = () => auth.report().anchors.find(({ subject }) => subject === 'CN=Old Root CA')
  expect(oldAnchor()).toMatchObject({ certificates: 1, notRenewed: 1 })

  // The clients renew, but for the third, which has an open connection and a request now and then.
  expect(await status(await issued(young, 'two'))).toBe(200)
  clock.ahead += 20 * day
  expect((await connection()).status).toBe(200)
  clock.ahead += 20 * day
  expect(await status(replacement)).toBe(200)
  expect(removable()).toEqual({ 'CN=Old Root CA': 'seen', 'CN=Young Root CA': 'seen' })
  expect(oldAnchor()).toMatchObject({ certificates: 1, notRenewed: 1 })
  expect(auth.report().certificates.filter(({ successor }) => successor === undefined)).toHaveLength(3)

  // The third renews as well. A window later the old CA may go.
  expect(await status(await issued(young, 'three'))).toBe(200)
  expect(oldAnchor()).toMatchObject({ safeToRemove: false, reason: 'seen', notRenewed: 0 })
  clock.ahead += 31 * day
  expect(await status(replacement)).toBe(200)
  expect(removable()).toEqual({ 'CN=Old Root CA': true, 'CN=Young Root CA': 'seen' })

  // It goes, and nobody is missed; who would have been, is refused.
  write(young.trust)
  await soon(async () => (await status(three)) === 403)
  expect(await status(replacement)).toBe(200)
  expect(oldAnchor()).toMatchObject({ trusted: false, reason: 'not-trusted' })

  const told = events.map((event) => (event.type === 'moved' ? `moved: ${event.changed}` : event.type))
  expect(told).toEqual([...Array(3).fill('first-seen'), ...Array(3).fill('moved: issuer,key')])
}, 60_000)

test('a connection without requests, which superviseServer looks after, keeps its CA in use for as long as it is open', async () => {
  const [old, young] = [await createTestPki({ name: 'Old' }), await createTestPki({ name: 'Young' })]
  const clock = { ahead: 0 }
  const auth = createAuthenticator({
    trust: old.trust + young.trust,
    revocation: 'none',
    log: false,
    now: () => Date.now() + clock.ahead,
  })
  const server = tls.createServer(tlsServerOptions(auth, await serverTls), (socket) => {
    socket.on('error', () => {})
    void auth.authenticateSocket(socket)
  })
  const supervised = superviseServer(server, auth, { log: false })
  afterThisTest(() => supervised.close())
  const port = await listen(server)
  const longLived = { notAfter: new Date(Date.now() + 300 * day) }
  const connect = async (pki: typeof old) => {
    const { tls: credentials } = await pki.issue(longLived)
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...credentials })
    afterThisTest(() => socket.destroy())
    await once(socket, 'secureConnect')
    return socket
  }
  const verdict = (name: string) => auth.report().anchors.find(({ subject }) => subject === `CN=${name} Root CA`)
  const connection = await connect(old)
  await soon(() => auth.report().certificates.length === 1)
  clock.ahead += 40 * day
  await connect(young)
  await soon(() => verdict('Old')?.reason === 'connected')
  expect(verdict('Old')).toMatchObject({ connections: 1, safeToRemove: false })
  connection.destroy()
  await soon(() => verdict('Old')?.connections === 0)
  expect(verdict('Old')).toMatchObject({ reason: 'seen', safeToRemove: false })
  clock.ahead += 31 * day
  await connect(young)
  await soon(() => verdict('Old')?.safeToRemove)
  expect(verdict('Young')?.safeToRemove).toBe(false)
}, 60_000)
