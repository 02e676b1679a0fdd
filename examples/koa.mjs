// node examples/koa.mjs [clients-ca.pem server.key server.crt]
import https from 'node:https'
import Koa from 'koa'
import { createAuthenticator, tlsServerOptions } from 'mtls-identity'
import { clientCert, clientIdentity } from 'mtls-identity/koa'
import { certificates } from './certificates.mjs'

const { trust, key, cert, port } = await certificates()

const auth = createAuthenticator({ trust, revocation: 'none' })
const app = new Koa()
app.use(clientCert({ authenticator: auth }))
app.use((context) => {
  context.body = clientIdentity(context)
})

https.createServer(tlsServerOptions(auth, { key, cert }), app.callback()).listen(port, () => {
  console.log(`Koa listens on https://localhost:${port}`)
})
