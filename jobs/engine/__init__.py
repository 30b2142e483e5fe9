"""Rows -> answers: who computes.

answers    what goes in and what comes out, and the names of the answers
package    ONNX Runtime in this process, through the service's own engine
pieces     work in slices, and how far a service has answered
service    a running service, over its stream, as bulk work
opening    opens one of the two
"""
