const { default: Koa = require('koa') } = require('koa')
const scenario = require('./scenario.cjs')

// `./testing` rests on asn1js, which is an ES module: where `require` cannot load one, `import()` still does.
const [withoutRequireOfEsm] = process.argv.slice(2)
const testing = () => (withoutRequireOfEsm ? import('mtls-identity/testing') : require('mtls-identity/testing'))

async function main() {
  const seen = await scenario({
    express: require('express'),
    Koa,
    core: require('mtls-identity'),
    forExpress: require('mtls-identity/express'),
    forKoa: require('mtls-identity/koa'),
    apim: require('mtls-identity/apim'),
    oauth: require('mtls-identity/oauth'),
    opentelemetry: require('mtls-identity/opentelemetry'),
    path: require('mtls-identity/path'),
    prometheus: require('mtls-identity/prometheus'),
    Registry: require('prom-client').Registry,
    rateLimit: require('mtls-identity/rate-limit'),
    rules: require('mtls-identity/rules'),
    server: require('mtls-identity/server'),
    testing: await testing(),
  })
  console.log(JSON.stringify(seen))
}

main()
