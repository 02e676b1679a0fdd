# AWS Application Load Balancer in front of server.mjs: the parts that matter.
# Ours, in passthrough mode (the load balancer verifies nothing, and sends the whole chain):
#   source: forwardedHeader({ preset: 'aws-alb', from: proxyAddress('10.0.1.0/24', '10.0.2.0/24') })   // the load balancer's subnets, and nothing else in them
#   http.createServer({ maxHeaderSize: 65536 }, app)
# In verify mode: preset 'aws-alb-verify', and intermediates: './issuing-ca.pem'.
resource "aws_lb_listener" "tls" {
  load_balancer_arn = aws_lb.public.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.server.arn

  mutual_authentication {
    mode = "passthrough"
    # mode                             = "verify"
    # trust_store_arn                  = aws_lb_trust_store.clients.arn
    # ignore_client_certificate_expiry = false
  }

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

# Any other listener of the load balancer that leads to the same targets, one for plain HTTP say, forwards what clients write into
# X-Amzn-Mtls-Clientcert. Do not have one.

# Nobody but the load balancer reaches the application: an address is a gate only as long as this holds.
resource "aws_vpc_security_group_ingress_rule" "app_from_balancer" {
  security_group_id            = aws_security_group.app.id
  referenced_security_group_id = aws_security_group.public_lb.id
  from_port                    = 3000
  to_port                      = 3000
  ip_protocol                  = "tcp"
}
