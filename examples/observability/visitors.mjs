// Who comes in one second: those who may, those who may not, and those who try to speak in the place of a proxy.
import http from 'node:http'
import https from 'node:https'
import { connect } from 'node:net'

/** Stay connected, and are remembered. */
const connections = { alice: keptAlive(), bob: keptAlive() }
/** Connects anew for each request, and resumes its TLS session. */
const resuming = new https.Agent()

function keptAlive() {
  return new https.Agent({ keepAlive: true, maxSockets: 1 })
}

export async function visit(servers, pki, round) {
  const { alice, bob, expired, revoked, frank, ofNextCa, stranger } = pki.clients
  const ask = (server, path, { tls } = {}, more = {}) => {
    const { port } = servers[server].address()
    const scheme = server === 'edge' ? http : https
    return asked(scheme, { port, path, ca: pki.serversCa, agent: false, ...tls, ...more })
  }
  const newcomer = await pki.newcomer(round)
  const nobody = undefined

  for (let i = 0; i < 5; i++) await ask('api', '/catalog', alice, { agent: connections.alice })
  await ask('api', '/catalog', newcomer)
  await ask('api', '/catalog', alice, { method: 'PUT', agent: resuming })
  await ask('api', '/catalog', bob, { method: 'PUT', agent: connections.bob })
  for (const client of [expired, revoked, frank, ofNextCa, stranger, nobody]) await ask('api', '/catalog', client)
  for (const client of [alice, expired, nobody]) await ask('api', '/old/catalog', client)
  if (round % 2 === 0) await ask('partners', '/catalog', await pki.partner(round / 2))
  await octets(servers.api.address().port, 'GET / HTTP/1.1\r\n\r\n') // plain HTTP, where TLS is spoken

  // 127.0.0.1 is the proxy, and everybody who can get there.
  const field = ({ certificate }) => `:${Buffer.from(certificate.der).toString('base64')}:`
  const [hers, his] = [field(alice), field(bob)]
  await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': hers } })
  await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': field(newcomer) } })
  await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': [hers, his] } })
  await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': his, Client_Cert: hers } })
  await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': hers, Connection: 'client-cert' } })
  if (round % 5 === 0) {
    await ask('edge', '/catalog', {}, { headers: { 'Client-Cert': hers }, localAddress: '127.0.0.2' })
  }
}

/** What becomes of a request is told by the metrics. */
function asked({ request }, options) {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', ...options }, (response) => response.resume().once('close', resolve))
      .once('error', resolve) // a system may have no 127.0.0.2, and a server may have ended
      .end()
  })
}

function octets(port, text) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1').once('error', resolve).once('close', resolve)
    socket.resume().end(text)
  })
}
