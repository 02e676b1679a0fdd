// node examples/access/koa.mjs [clients-ca.pem server.key server.crt]
import https from 'node:https'
import Koa from 'koa'
import { createAuthenticator, explain, tlsServerOptions } from 'mtls-identity'
import { clientCert, clientIdentity, requireClientCert } from 'mtls-identity/koa'
import { certificates } from '../certificates.mjs'
import { admins, editors, readers, resolve } from './access.mjs'

const { trust, key, cert, port } = await certificates()
const auth = createAuthenticator({
  trust,
  revocation: 'none',
  log: false,
  resolve,
  onDecision: (decision) => decision.outcome === 'refused' && console.error(explain(decision)),
})

const catalogue = new Map([['1', 'pencil']])
/** A router in a few lines; any other does as well. */
const on = (method, path, guard, handle) => (context, next) => {
  const match = context.method === method && path.exec(context.path)
  const answer = async () => {
    context.body = handle(context, match[1])
  }
  return match ? guard(context, answer) : next()
}
const anybody = (_context, next) => next()
const id = /^\/catalogue\/(\w+)$/

const app = new Koa()
app.silent = true // refusals are explained above
app.use(clientCert({ authenticator: auth }))
app.use(on('GET', /^\/me$/, anybody, (context) => clientIdentity(context).principal))
app.use(on('GET', /^\/catalogue$/, requireClientCert(readers), () => [...catalogue]))
app.use(
  on('PUT', id, requireClientCert(editors), (context, item) => {
    return [...catalogue.set(item, clientIdentity(context).principal.name)]
  }),
)
app.use(
  on('DELETE', id, requireClientCert(admins), (_context, item) => {
    catalogue.delete(item)
    return [...catalogue]
  }),
)

https.createServer(tlsServerOptions(auth, { key, cert }), app.callback()).listen(port, () => {
  console.log(`Koa listens on https://localhost:${port}`)
})
