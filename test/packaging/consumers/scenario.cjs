// What an application does with the package, with whichever module system brought its twelve entries here.
const https = require('node:https')
const { once } = require('node:events')

/** Resolves to what the application saw; the packaging test says what that has to be. */
module.exports = async function scenario({
  express,
  Koa,
  core,
  forExpress,
  forKoa,
  apim,
  oauth,
  opentelemetry,
  path,
  prometheus,
  Registry,
  rateLimit,
  rules,
  server,
  testing,
}) {
  const pki = await testing.createTestPki()
  const alice = await pki.issue({ subject: 'CN=alice' })
  const bob = await pki.issue({ subject: 'CN=bob' })
  const stranger = await (await testing.createTestPki({ name: 'Other' })).issue({ subject: 'CN=alice' })
  const clients = { alice, bob, stranger, nobody: { tls: {} } }

  const authenticator = core.createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
  const registry = new Registry()
  prometheus.prometheusMetrics(registry, authenticator)
  const onlyAlice = core.rules.any(rules.commonName('alice'), rules.dnsName('alice.test'))

  const keyOf = rateLimit.rateLimitKey('publicKeyPin')
  const keys = new Set()
  const expressApp = express()
    .set('env', 'test')
    .use(forExpress.clientCert({ authenticator, mode: 'required' }))
    .get('/', forExpress.requireClientCert(onlyAlice), (req, res) => {
      keys.add(keyOf(req).split(':')[0])
      res.send(forExpress.clientIdentity(req).subject.get('CN'))
    })

  const koaApp = new Koa()
    .use(forKoa.clientCert({ authenticator }))
    .use(forKoa.requireClientCert(onlyAlice))
    .use((ctx) => {
      ctx.body = forKoa.clientIdentity(ctx).subject.get('CN')
    })
  koaApp.silent = true

  const validate = ({ certificate, chain }) =>
    path.validateCertificationPath({
      certificate: certificate.der,
      intermediates: chain.map(({ der }) => der),
      trustAnchors: [pki.root.certificate.der],
      at: new Date(),
    })
  const refused = await validate(stranger)

  const seen = {
    express: await answers(expressApp),
    koa: await answers(koaApp.callback()),
    apim: apim.apimPolicy('<validate-client-certificate ignore-error="true" />').mode,
    oauth: oauth.confirmationFailure({ sub: 'x' }),
    rateLimit: [...keys],
    metrics: /^mtls_identity_decisions_total\{.*outcome="accepted".*\} [1-9]/m.test(await registry.metrics()),
    path: [(await validate(alice)).valid, refused.valid, refused.error?.code],
    errors: [
      refused.error instanceof core.ClientCertError,
      core.isClientCertError(refused.error),
      core.isClientCertError(new Error('another')),
      throwsConfigError(() => core.createAuthenticator({ trust: pki.trust, revocation: 'none', trustStore: '' })),
    ],
    exports: Object.fromEntries(
      Object.entries({
        core,
        forExpress,
        forKoa,
        apim,
        oauth,
        opentelemetry,
        path,
        prometheus,
        rateLimit,
        rules,
        server,
        testing,
      }).map(([name, entry]) => [
        name,
        Object.keys(entry)
          .filter((key) => key !== 'default' && key !== 'module.exports')
          .sort(),
      ]),
    ),
  }
  await authenticator.close()
  return seen

  async function answers(handler) {
    const { tls } = await pki.server()
    const listening = https.createServer(server.tlsServerOptions(authenticator, tls), handler).listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const { port } = listening.address()
    const found = {}
    for (const [name, client] of Object.entries(clients)) found[name] = await get(port, client.tls)
    listening.closeAllConnections()
    listening.close()
    return found
  }

  function get(port, tls) {
    return new Promise((resolve, reject) => {
      https
        .get({ host: '127.0.0.1', port, ca: pki.trust, ...tls, agent: false }, async (response) => {
          const body = (await response.setEncoding('utf8').toArray()).join('')
          resolve(response.statusCode === 200 ? `200 ${body}` : String(response.statusCode))
        })
        .on('error', reject)
    })
  }

  function throwsConfigError(call) {
    try {
      call()
      return false
    } catch (error) {
      return error instanceof core.ClientCertConfigError && /trustStore/.test(error.message)
    }
  }
}
